//! Who an input from outside comes from.
//!
//! Every such input carries a [`Caller`], also while authentication is off: then it is anonymous.
//! Knows nothing of how a caller was authenticated.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The author of a call: what was proved about it, and where it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The authenticated principal. `None`: anonymous.
    pub principal: Option<String>,
    /// Claims of a token beside the principal (Mesos: `fid`, `eid`, `cid` of an executor).
    pub claims: BTreeMap<String, String>,
    /// The address that the connection came from, where there is one.
    pub peer: Option<SocketAddr>,
}

impl Caller {
    /// A caller about whom nothing is known but the address.
    pub fn anonymous(peer: Option<SocketAddr>) -> Self {
        Self { peer, ..Self::default() }
    }
}
