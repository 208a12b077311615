//! An operator plans work on machines, takes them down for it and brings them up again.

use std::collections::BTreeSet;

use crate::registry::field::field_struct;
use crate::registry::op::Operation;
use crate::registry::{MachineId, MachineMode, Rejected, State, Window};

/// The maintenance schedule was replaced. Machines that are down have to be in the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceScheduled {
    /// Each machine in at most one of them.
    pub windows: Vec<Window>,
}

field_struct!(MaintenanceScheduled { windows });

impl Operation for MaintenanceScheduled {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        state.maintenance.check_schedule(&self.windows)
    }

    fn apply(&self, state: &mut State) {
        state.maintenance.schedule(&self.windows);
    }
}

/// Machines go down: agents on them may not take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachinesDown {
    /// Scheduled, and not down yet.
    pub machines: BTreeSet<MachineId>,
}

field_struct!(MachinesDown { machines });

impl Operation for MachinesDown {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        if self.machines.is_empty() {
            return Err(Rejected::Empty);
        }
        let draining = |machine| state.maintenance.mode(machine) == MachineMode::Draining;
        match self.machines.iter().find(|machine| !draining(machine)) {
            Some(machine) => Err(Rejected::MachineNotScheduled(machine.clone())),
            None => Ok(()),
        }
    }

    fn apply(&self, state: &mut State) {
        state.maintenance.take_down(&self.machines);
    }
}

/// Machines are up again; what was planned for them is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachinesUp {
    /// All down.
    pub machines: BTreeSet<MachineId>,
}

field_struct!(MachinesUp { machines });

impl Operation for MachinesUp {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        if self.machines.is_empty() {
            return Err(Rejected::Empty);
        }
        let down = |machine| state.maintenance.mode(machine) == MachineMode::Down;
        match self.machines.iter().find(|machine| !down(machine)) {
            Some(machine) => Err(Rejected::MachineIsUp(machine.clone())),
            None => Ok(()),
        }
    }

    fn apply(&self, state: &mut State) {
        state.maintenance.bring_up(&self.machines);
    }
}
