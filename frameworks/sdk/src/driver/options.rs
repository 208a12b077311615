//! What a driver is told before it starts.

use std::time::Duration;

use meros_proto::v1;
use meros_proto::wire::Encoding;

use super::address::{Address, AddressError};

/// How to subscribe, and to whom.
///
/// [`Options::new`] fills in what most frameworks want; the fields are there to be changed.
#[derive(Debug, Clone)]
pub struct Options {
    /// The masters as `HOST:PORT`, IPv6 in brackets; a leading `http://` is taken off. At least one.
    pub masters: Vec<String>,
    /// Who subscribes. With `id` set it comes back as the framework that had that id.
    pub framework: v1::FrameworkInfo,
    /// How calls and events are written.
    pub encoding: Encoding,
    /// Roles that want no offers from the start of each subscription.
    pub suppressed_roles: Vec<String>,
    /// Which agents' offers to leave out, decided by the master.
    pub offer_constraints: Option<v1::scheduler::OfferConstraints>,
    /// A name and a secret for HTTP basic authentication.
    pub credential: Option<Credential>,
    /// A master is lost after so many of its heartbeat intervals without an event. Default 2;
    /// Mesos's own library waits for 5.
    pub missed_heartbeats: u32,
    /// The masters' election time-out, default 1 s: for two of them after a lost leader they are
    /// asked every 100 ms, then with back-off.
    pub election_timeout: Duration,
    /// How long a master may take to answer SUBSCRIBE, and to send SUBSCRIBED after that. Default
    /// 15 s: a standby may hold the request while an election is on.
    pub subscribe_timeout: Duration,
    /// Calls that may wait to be sent, and acknowledgements beside them; more are refused.
    pub call_queue: usize,
    /// Events that may wait for the framework. When it is full the master's stream isn't read on.
    pub event_queue: usize,
    /// Where the driver's random numbers start. `None`: somewhere else each time.
    pub seed: Option<u64>,
}

impl Options {
    /// A subscription of `framework` to `masters`, in protobuf, with the defaults named above.
    pub fn new<M: Into<String>>(
        masters: impl IntoIterator<Item = M>,
        framework: v1::FrameworkInfo,
    ) -> Self {
        Self {
            masters: masters.into_iter().map(Into::into).collect(),
            framework,
            encoding: Encoding::Protobuf,
            suppressed_roles: Vec::new(),
            offer_constraints: None,
            credential: None,
            missed_heartbeats: 2,
            election_timeout: Duration::from_secs(1),
            subscribe_timeout: Duration::from_secs(15),
            call_queue: 4_096,
            event_queue: 1_024,
            seed: None,
        }
    }

    /// The masters, parsed.
    ///
    /// # Errors
    /// When there is none, or one isn't `HOST:PORT`.
    pub(super) fn addresses(&self) -> Result<Vec<Address>, AddressError> {
        if self.masters.is_empty() {
            return Err(AddressError::NoMaster);
        }
        self.masters.iter().map(|master| Address::parse(master)).collect()
    }
}

/// A principal and its secret.
#[derive(Clone)]
pub struct Credential {
    /// Who calls.
    pub principal: String,
    /// How that is proved. Never printed.
    pub secret: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("principal", &self.principal).finish_non_exhaustive()
    }
}
