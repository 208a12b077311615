//! The way to one agent's core, whether it has its threads to itself or is one of a herd.

use meros_agent_core::Input;
use meros_shell::inbox::{Inbox, Refused};

use crate::simulate::Member;

/// Takes inputs for one agent. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Mailbox {
    /// The core is this agent's own.
    Own(Inbox<Input>),
    /// The core holds many agents, this member among them.
    Shared(Member, Inbox<(Member, Input)>),
}

impl From<Inbox<Input>> for Mailbox {
    fn from(inbox: Inbox<Input>) -> Self {
        Self::Own(inbox)
    }
}

impl Mailbox {
    /// Puts an input in as soon as there is room.
    ///
    /// # Errors
    /// [`Refused::Stopped`]; the input is gone.
    pub(crate) async fn send(&self, input: Input) -> Result<(), Refused> {
        match self {
            Self::Own(inbox) => inbox.send(input).await,
            Self::Shared(member, inbox) => inbox.send((*member, input)).await,
        }
    }

    /// Puts an input in, or says at once that it can't be taken.
    ///
    /// # Errors
    /// See [`Refused`]; the input is gone.
    pub(crate) fn try_send(&self, input: Input) -> Result<(), Refused> {
        match self {
            Self::Own(inbox) => inbox.try_send(input),
            Self::Shared(member, inbox) => inbox.try_send((*member, input)),
        }
    }
}
