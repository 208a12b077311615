//! What an HTTP status means, for SUBSCRIBE and for the other calls (Mesos v1 scheduler API).

use meros_proto::v1::scheduler::call::Type;

/// What to do about an answer to SUBSCRIBE that brought no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToSubscribe {
    /// Another master leads: ask there.
    Redirected,
    /// Nobody leads, or what answered is no master: ask again later.
    Later,
    /// The leader will not have this framework, however often it asks.
    Never,
}

impl ToSubscribe {
    pub fn of(status: u16) -> Self {
        match status {
            307 | 302 => Self::Redirected,
            400 | 401 | 403 | 406 | 409 | 415 | 501 => Self::Never,
            _ => Self::Later,
        }
    }
}

/// What to do about the answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToCall {
    /// It was taken in.
    Taken,
    /// The master is busy or recovering and took nothing in: the same call again, soon.
    Busy,
    /// This master no longer counts us as subscribed: a new subscription is due.
    Unsubscribed,
    /// It was turned down, alone.
    Refused,
}

impl ToCall {
    pub fn of(status: u16, message: &str) -> Self {
        match status {
            200..300 => Self::Taken,
            429 | 503 => Self::Busy,
            302 | 307 | 403 => Self::Unsubscribed,
            // Mesos answers both to a framework whose stream it has replaced or forgotten.
            400 if message.contains("Stream-Id") || message.contains("stream ID") => {
                Self::Unsubscribed
            }
            400 if message.contains("Framework cannot be found") => Self::Unsubscribed,
            _ => Self::Refused,
        }
    }
}

/// Whether a call may be sent a second time when it isn't known whether the first arrived.
///
/// A second ACCEPT would find its offers used, and tell that the tasks of the first are lost.
pub fn may_repeat(call: Type) -> bool {
    !matches!(
        call,
        Type::Accept | Type::Message | Type::Request | Type::UpdateFramework | Type::Unknown
    )
}

/// Whether a call goes in the lane of acknowledgements, which launches can't fill. Nothing else
/// may: a KILL that overtook its ACCEPT would find no task.
pub fn is_acknowledgement(call: Type) -> bool {
    matches!(call, Type::Acknowledge | Type::AcknowledgeOperationStatus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_leader_refuses_for_good_ends_the_search() {
        for (status, meaning) in [
            (307, ToSubscribe::Redirected),
            (503, ToSubscribe::Later),
            (500, ToSubscribe::Later),
            (404, ToSubscribe::Later),
            (405, ToSubscribe::Later),
            (400, ToSubscribe::Never),
            (401, ToSubscribe::Never),
            (403, ToSubscribe::Never),
            (406, ToSubscribe::Never),
            (415, ToSubscribe::Never),
        ] {
            assert_eq!(ToSubscribe::of(status), meaning, "{status}");
        }
    }

    #[test]
    fn a_call_is_refused_alone_unless_the_subscription_is_gone() {
        for (status, message, meaning) in [
            (202, "", ToCall::Taken),
            (200, "", ToCall::Taken),
            (503, "Master has not finished recovery", ToCall::Busy),
            (307, "", ToCall::Unsubscribed),
            (403, "Framework is not subscribed", ToCall::Unsubscribed),
            (400, "Framework cannot be found", ToCall::Unsubscribed),
            (400, "The stream ID 'x' included in this request didn't match", ToCall::Unsubscribed),
            (400, "Failed to validate scheduler::Call: no", ToCall::Refused),
            (501, "", ToCall::Refused),
            (500, "", ToCall::Refused),
        ] {
            assert_eq!(ToCall::of(status, message), meaning, "{status} {message}");
        }
    }

    #[test]
    fn an_accept_is_never_sent_twice() {
        assert!(!may_repeat(Type::Accept));
        for call in [Type::Kill, Type::Acknowledge, Type::Decline, Type::Reconcile, Type::Teardown]
        {
            assert!(may_repeat(call), "{call:?}");
        }
    }
}
