//! One change of the registry, and how it is written.
//!
//! An operation has a number, which is never given to another one, and a version of its layout. The
//! versions that earlier releases wrote stay readable; what is unknown is refused, never skipped.

use meros_proto::record::{BadRecord, Record, RecordKind};

use crate::registry::field::{Field, Fields};
use crate::registry::ops::{
    AgentAdmitted, AgentDeactivated, AgentGone, AgentIdsTaken, AgentReachable, AgentReactivated,
    AgentRemoved, AgentUnreachable, ClusterCreated, ClusterVersionRaised, DrainFinished,
    DrainStarted, DrainStopped, FrameworkIdsTaken, FrameworkRemoved, GoneTrimmed, MachinesDown,
    MachinesUp, MaintenanceScheduled, QuotaRemoved, QuotasSet, RemovedFrameworksTrimmed,
    UnreachableTrimmed, WeightsSet,
};
use crate::registry::{Rejected, State};

/// What every operation is.
pub(super) trait Operation: Field {
    /// Of the layout that is written.
    const VERSION: u16 = 1;
    /// The cluster version from which on it may be proposed.
    const SINCE: u32 = 1;

    /// Whether it fits the state.
    fn check(&self, state: &State) -> Result<(), Rejected>;

    /// Carries it out on a state that it was checked against.
    fn apply(&self, state: &mut State);

    /// Reads the layout of any version up to [`Operation::VERSION`]; there is but one, unless the
    /// operation says otherwise.
    fn take_version(version: u16, fields: &mut Fields<'_>) -> Option<Result<Self, BadRecord>> {
        (version == Self::VERSION).then(|| Self::take(fields))
    }
}

/// Declares the operations with their numbers.
macro_rules! operations {
    ($($number:literal $name:ident,)*) => {
        /// One change of the registry.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op {
            $(
                #[doc = concat!("See [`", stringify!($name), "`].")]
                $name($name),
            )*
        }

        impl Op {
            /// The cluster version from which on it may be proposed.
            pub(super) fn since(&self) -> u32 {
                match self {
                    $(Self::$name(_) => <$name as Operation>::SINCE,)*
                }
            }

            /// Whether it fits the state.
            ///
            /// # Errors
            /// [`Rejected`]: what doesn't fit.
            pub fn check(&self, state: &State) -> Result<(), Rejected> {
                match self {
                    $(Self::$name(op) => op.check(state),)*
                }
            }

            /// Carries it out on a state that it was checked against.
            pub(super) fn carry_out(&self, state: &mut State) {
                match self {
                    $(Self::$name(op) => op.apply(state),)*
                }
            }
        }

        impl Record for Op {
            fn kind(&self) -> RecordKind {
                match self {
                    $(Self::$name(_) => RecordKind {
                        number: $number,
                        version: <$name as Operation>::VERSION,
                    },)*
                }
            }

            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name(op) => op.put(out),)*
                }
            }

            fn decode(kind: RecordKind, body: &[u8]) -> Result<Self, BadRecord> {
                let mut fields = Fields::new(kind, body);
                let read = match kind.number {
                    $($number => $name::take_version(kind.version, &mut fields)
                        .map(|op| op.map(Self::$name)),)*
                    _ => None,
                };
                let op = read.ok_or(BadRecord::Unknown(kind))??;
                fields.finish()?;
                Ok(op)
            }
        }

        $(
            impl From<$name> for Op {
                fn from(op: $name) -> Self {
                    Self::$name(op)
                }
            }
        )*
    };
}

operations! {
    1 AgentAdmitted,
    2 AgentUnreachable,
    3 AgentRemoved,
    4 FrameworkRemoved,
    5 WeightsSet,
    6 AgentReachable,
    7 AgentGone,
    8 DrainStarted,
    9 DrainFinished,
    10 DrainStopped,
    11 AgentDeactivated,
    12 AgentReactivated,
    13 QuotasSet,
    14 QuotaRemoved,
    15 MaintenanceScheduled,
    16 MachinesDown,
    17 MachinesUp,
    18 ClusterCreated,
    19 ClusterVersionRaised,
    20 FrameworkIdsTaken,
    21 AgentIdsTaken,
    22 UnreachableTrimmed,
    23 GoneTrimmed,
    24 RemovedFrameworksTrimmed,
}
