//! What we claim to be, to whom.
//!
//! Clients choose features by version, so each imitated system's version stands here once. pymesos
//! compares it by integers: three dotted numbers, no suffix.

/// The Mesos version that the master, the agent and their infos claim.
pub const MESOS_VERSION: &str = "1.11.0";

/// The Marathon version that `/v2/info` claims.
pub const MARATHON_VERSION: &str = "1.11.0";

/// Our own version: `meros --version` and the `Server` header.
pub const MEROS_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The value of the `Server` header of every component.
pub const SERVER_HEADER: &str = concat!("Meros/", env!("CARGO_PKG_VERSION"));

/// The least and the greatest version of the internal protocols that this build speaks.
pub const PROTOCOL_MIN: u32 = 1;
/// See [`PROTOCOL_MIN`].
pub const PROTOCOL_MAX: u32 = 1;

/// The version that two ends speak: the greatest that both know.
///
/// `None` when there is none; the stream is then refused with both ranges in the message.
pub fn agree(peer_min: u32, peer_max: u32) -> Option<u32> {
    let (low, high) = (PROTOCOL_MIN.max(peer_min), PROTOCOL_MAX.min(peer_max));
    (low <= high).then_some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ends_speak_the_greatest_version_that_both_know() {
        assert_eq!(agree(1, 1), Some(1));
        assert_eq!(agree(0, 7), Some(PROTOCOL_MAX));
        assert_eq!(agree(2, 7), None);
        assert_eq!(agree(0, 0), None);
    }
}
