//! What is remembered of an agent.
//!
//! ```text
//! unknown ──admitted──▶ admitted ◀──reachable again── unreachable
//!                        │  │  └──────not heard of──────▶┘   │
//!            removed ◀───┘  └─────marked gone─────▶ gone ◀───┘
//! ```

use std::time::Duration;

use bytes::Bytes;
use meros_proto::record::BadRecord;

use crate::registry::field::{Field, Fields, field_struct};

/// An agent that may take part.
#[derive(Debug, Clone, PartialEq)]
pub struct AdmittedAgent {
    /// Its encoded AgentInfo, as it last described itself.
    pub info: Bytes,
    /// Whether it is to be given work.
    pub activity: Activity,
}

/// Whether an agent is to be given work. Survives its being unreachable.
///
/// ```text
/// Active ◀──reactivated── Deactivated ◀──stopped── Draining ──finished──▶ Drained
///   └────deactivated─────────▶┘                       ▲                     │
///   └──────────────────started────────────────────────┘     reactivated ──▶ Active
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// Its resources are offered.
    #[default]
    Active,
    /// An operator wants nothing of it offered.
    Deactivated,
    /// Its tasks are being ended, and nothing of it is offered.
    Draining(DrainConfig),
    /// Its tasks have ended, and nothing of it is offered.
    Drained(DrainConfig),
}

/// How an agent is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrainConfig {
    /// The longest that a task may take to end; `None`: as long as its own kill policy says.
    pub max_grace: Option<Duration>,
    /// The agent is marked gone once it is drained.
    pub mark_gone: bool,
}

impl Activity {
    /// Whether its resources may be offered.
    pub fn is_active(self) -> bool {
        self == Self::Active
    }

    /// In words, for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deactivated => "deactivated",
            Self::Draining(_) => "draining",
            Self::Drained(_) => "drained",
        }
    }
}

field_struct!(AdmittedAgent { info, activity });
field_struct!(DrainConfig { max_grace, mark_gone });

impl Field for Activity {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Active => 0_u8.put(out),
            Self::Deactivated => 1_u8.put(out),
            Self::Draining(config) => {
                2_u8.put(out);
                config.put(out);
            }
            Self::Drained(config) => {
                3_u8.put(out);
                config.put(out);
            }
        }
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        Ok(match u8::take(fields)? {
            0 => Self::Active,
            1 => Self::Deactivated,
            2 => Self::Draining(Field::take(fields)?),
            3 => Self::Drained(Field::take(fields)?),
            other => return Err(fields.bad(format!("{other} is no activity of an agent"))),
        })
    }
}
