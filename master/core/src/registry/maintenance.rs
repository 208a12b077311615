//! Which machines are worked on when, and which are down for it.
//!
//! ```text
//! up ──named in the schedule──▶ draining ──down──▶ down ──up──▶ up, out of the schedule
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use meros_proto::record::BadRecord;
use meros_proto::time::Timestamp;

use crate::registry::Rejected;
use crate::registry::field::{Field, Fields, field_struct};

/// A machine, by its host name, its address or both. Host names are compared in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MachineId {
    hostname: String,
    ip: String,
}

/// When a machine is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailability {
    /// From when on.
    pub start: Timestamp,
    /// For how long; `None`: until it is said to be up.
    pub duration: Option<Duration>,
}

/// Machines that are worked on at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// At least one.
    pub machines: BTreeSet<MachineId>,
    /// When.
    pub unavailability: Unavailability,
}

/// What a machine is in the eyes of maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineMode {
    /// Nothing is planned.
    Up,
    /// It is in the schedule: frameworks may be asked to leave it.
    Draining,
    /// Agents on it may not take part.
    Down,
}

/// The schedule, and the machines that are down. Every machine that is down is in the schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maintenance {
    windows: BTreeMap<u32, Window>,
    scheduled: BTreeMap<MachineId, u32>,
    down: BTreeSet<MachineId>,
}

impl MachineId {
    /// The machine of this name and address; either may be empty, not both.
    ///
    /// # Errors
    /// [`Rejected::NamelessMachine`].
    pub fn new(hostname: &str, ip: &str) -> Result<Self, Rejected> {
        match (hostname, ip) {
            ("", "") => Err(Rejected::NamelessMachine),
            _ => Ok(Self { hostname: hostname.to_ascii_lowercase(), ip: ip.to_owned() }),
        }
    }

    /// Its host name; empty when it goes by its address.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Its address; empty when it goes by its name.
    pub fn ip(&self) -> &str {
        &self.ip
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.hostname, &*self.ip) {
            (hostname, "") => f.write_str(hostname),
            ("", ip) => f.write_str(ip),
            (hostname, ip) => write!(f, "{hostname} ({ip})"),
        }
    }
}

impl Maintenance {
    /// The windows, as they were scheduled; those whose machines are all up again are gone.
    pub fn windows(&self) -> impl ExactSizeIterator<Item = &Window> {
        self.windows.values()
    }

    /// The machines that are down.
    pub fn down(&self) -> impl ExactSizeIterator<Item = &MachineId> {
        self.down.iter()
    }

    /// What a machine is, by exactly this id.
    pub fn mode(&self, machine: &MachineId) -> MachineMode {
        match (self.down.contains(machine), self.scheduled.contains_key(machine)) {
            (true, _) => MachineMode::Down,
            (false, true) => MachineMode::Draining,
            (false, false) => MachineMode::Up,
        }
    }

    /// Whether the machine of this name and address is down, by its name, its address or both.
    pub fn is_down(&self, hostname: &str, ip: &str) -> bool {
        [(hostname, ip), (hostname, ""), ("", ip)].into_iter().any(|(hostname, ip)| {
            MachineId::new(hostname, ip).is_ok_and(|machine| self.down.contains(&machine))
        })
    }

    /// How many machines are named.
    pub(super) fn len(&self) -> usize {
        self.scheduled.len()
    }

    /// Whether `windows` may take the schedule's place.
    pub(super) fn check_schedule(&self, windows: &[Window]) -> Result<(), Rejected> {
        let mut named = BTreeSet::new();
        for window in windows {
            if window.machines.is_empty() {
                return Err(Rejected::EmptyWindow);
            }
            if let Some(twice) = window.machines.iter().find(|machine| !named.insert(*machine)) {
                return Err(Rejected::MachineTwice(twice.clone()));
            }
        }
        match self.down.iter().find(|machine| !named.contains(machine)) {
            Some(down) => Err(Rejected::MachineIsDown(down.clone())),
            None => Ok(()),
        }
    }

    /// Puts `windows` in the schedule's place, which they were checked for.
    pub(super) fn schedule(&mut self, windows: &[Window]) {
        self.windows = (0..).zip(windows.iter().cloned()).collect();
        self.scheduled = scheduled(&self.windows);
    }

    /// Takes machines down that are scheduled.
    pub(super) fn take_down(&mut self, machines: &BTreeSet<MachineId>) {
        self.down.extend(machines.iter().cloned());
    }

    /// Brings machines up; what was planned for them is done.
    pub(super) fn bring_up(&mut self, machines: &BTreeSet<MachineId>) {
        for machine in machines {
            self.down.remove(machine);
            let Some(at) = self.scheduled.remove(machine) else { continue };
            let Some(window) = self.windows.get_mut(&at) else { continue };
            window.machines.remove(machine);
            if window.machines.is_empty() {
                self.windows.remove(&at);
            }
        }
    }
}

fn scheduled(windows: &BTreeMap<u32, Window>) -> BTreeMap<MachineId, u32> {
    let of_window = |(at, window): (&u32, &Window)| {
        let at = *at;
        window.machines.clone().into_iter().map(move |machine| (machine, at))
    };
    windows.iter().flat_map(of_window).collect()
}

field_struct!(Unavailability { start, duration });
field_struct!(Window { machines, unavailability });

impl Field for MachineId {
    fn put(&self, out: &mut Vec<u8>) {
        self.hostname.put(out);
        self.ip.put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        let (hostname, ip) = <(String, String)>::take(fields)?;
        match Self::new(&hostname, &ip) {
            Ok(machine) if machine.hostname == hostname => Ok(machine),
            Ok(_) => Err(fields.bad("a host name is not in lower case")),
            Err(rejected) => Err(fields.bad(rejected.to_string())),
        }
    }
}

impl Field for Maintenance {
    fn put(&self, out: &mut Vec<u8>) {
        self.windows.put(out);
        self.down.put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        let (windows, down): (BTreeMap<u32, Window>, BTreeSet<MachineId>) = Field::take(fields)?;
        let all: Vec<Window> = windows.values().cloned().collect();
        let read = Self { scheduled: scheduled(&windows), windows, down };
        match read.check_schedule(&all) {
            Ok(()) => Ok(read),
            Err(rejected) => Err(fields.bad(rejected.to_string())),
        }
    }
}
