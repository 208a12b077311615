//! One offer, parsed, to be used once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use meros_proto::attributes::{AttributeError, Attributes};
use meros_proto::ids::{AgentId, IdError, OfferId};
use meros_proto::resources::{ResourceError, Resources, Role, RoleError};
use meros_proto::v1;

use crate::matching::Site;

/// Resources of one agent for one role. Dropped, it declines itself.
#[derive(Debug)]
pub struct Offer {
    id: OfferId,
    agent: AgentId,
    role: Role,
    resources: Resources,
    site: Site,
    message: v1::Offer,
    state: Arc<State>,
    used: bool,
}

/// What the pool and an offer that left it share.
#[derive(Debug)]
pub(super) struct State {
    /// Whether the master took it back meanwhile.
    void: AtomicBool,
    returns: Returns,
}

/// Where offers go when they end.
pub(super) type Returns = Arc<Mutex<Vec<(OfferId, Returned)>>>;

/// How an offer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returned {
    /// In a call that names it.
    Used,
    /// By being dropped: it is to be declined.
    Dropped,
}

impl State {
    pub(super) fn revoke(&self) {
        self.void.store(true, Ordering::Release);
    }

    pub(super) fn is_void(&self) -> bool {
        self.void.load(Ordering::Acquire)
    }
}

/// Why an offer can't be read. It is declined.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// A bad id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Bad resources.
    #[error(transparent)]
    Resources(#[from] ResourceError),
    /// Bad attributes.
    #[error(transparent)]
    Attributes(#[from] AttributeError),
    /// A bad role.
    #[error(transparent)]
    Role(#[from] RoleError),
}

impl Offer {
    /// Parses a message; what comes of the offer is told to `returns`.
    pub(super) fn read(message: v1::Offer, returns: &Returns) -> Result<Self, Malformed> {
        let role = message.allocation_info.as_ref().and_then(|info| info.role.as_deref());
        Ok(Self {
            id: OfferId::from_proto(message.id.as_ref())?,
            agent: AgentId::from_proto(message.agent_id.as_ref())?,
            role: role.map_or(Ok(Role::star()), Role::parse)?,
            resources: Resources::from_protos(&message.resources)?,
            site: Site {
                hostname: message.hostname().to_owned(),
                region: region(&message),
                zone: zone(&message),
                attributes: Attributes::from_protos(&message.attributes)?,
            },
            message,
            state: Arc::new(State { void: AtomicBool::new(false), returns: Arc::clone(returns) }),
            used: false,
        })
    }

    /// The offer's name.
    pub fn id(&self) -> &OfferId {
        &self.id
    }

    /// Whose resources they are.
    pub fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Whom they are offered to.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// What is offered.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Where it is.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// All that the master said.
    pub fn message(&self) -> &v1::Offer {
        &self.message
    }

    /// Whether the master has taken it back, or the subscription it came on is over.
    pub fn is_void(&self) -> bool {
        self.state.is_void()
    }

    /// Uses it up: its id is going into a call. `None` when it is void already.
    pub fn use_up(mut self) -> Option<OfferId> {
        if self.is_void() {
            return None;
        }
        self.used = true;
        Some(self.id.clone())
    }

    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        let how = if self.used { Returned::Used } else { Returned::Dropped };
        let mut returns = self.state.returns.lock().unwrap_or_else(PoisonError::into_inner);
        returns.push((self.id.clone(), how));
    }
}

fn region(message: &v1::Offer) -> Option<String> {
    message.domain.as_ref()?.fault_domain.as_ref()?.region.as_ref()?.name.clone()
}

fn zone(message: &v1::Offer) -> Option<String> {
    message.domain.as_ref()?.fault_domain.as_ref()?.zone.as_ref()?.name.clone()
}
