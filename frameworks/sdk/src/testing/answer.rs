//! How the next SUBSCRIBE is answered.

/// What a [`FakeMaster`](super::FakeMaster) does with one SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SubscribeAnswer {
    /// Takes it, as a leader does.
    #[default]
    Accept,
    /// 307, with this `Location`.
    Redirect(String),
    /// Any status and text.
    Status(u16, String),
    /// 200, and a stream whose first event is ERROR with this message.
    Error(String),
    /// 200, and a stream on which nothing comes.
    Silence,
}
