//! What the agent and the launcher say to each other, and its bytes.
//!
//! A frame is a little-endian `u32` length, then so many bytes: a tag and the fields of the message
//! in order. Numbers are little-endian, byte strings and lists carry a `u32` count. A reader ignores
//! what follows the fields it knows, so a later version may append fields; a tag it doesn't know is
//! an error, so a new message needs a new protocol version. Both ends begin with [`Hello`].
//!
//! After the greeting the launcher lists what it has, so that an agent that comes back knows all it
//! missed. Each notice tells a state, not a change: one that is heard twice does no harm, and one
//! that a dying agent did not hear is in the next one's list.
//!
//! Pure: bytes in, values out ([`bytes`]). Paths and variables are bytes, as the kernel
//! has them.
//!
//! | version | what it brought |
//! | --- | --- |
//! | 1 | start, kill, end |
//! | 2 | the list after the greeting; ends kept until they are forgotten; upgrade |

mod bytes;
#[cfg(test)]
pub(super) mod samples;

use meros_proto::versions;

/// The least version of this protocol that this build speaks. Version 1 has no list: an agent could
/// not know what such a launcher runs.
pub(crate) const PROTOCOL_MIN: u32 = 2;
/// The greatest.
pub(crate) const PROTOCOL_MAX: u32 = 2;

/// The first message of each end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The least version of this protocol that the sender speaks.
    pub(crate) protocol_min: u32,
    /// The greatest.
    pub(crate) protocol_max: u32,
    /// The sender's own version, for people.
    pub(crate) version: String,
    /// A bit each: see [`Hello::ENDING`].
    pub(crate) features: u64,
    /// The sender's process.
    pub(crate) pid: u32,
    /// Which agent's launcher this is. Empty in version 1, as the two below.
    pub(crate) instance: String,
    /// Which executable the launcher runs: see [`build`](super::build). Empty from an agent.
    pub(crate) build: String,
    /// The format in which the launcher hands its state to the one that takes its place.
    pub(crate) state_format: u32,
}

/// What the launcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Opens the stream.
    Hello(Hello),
    /// Start a task.
    Start(Box<Start>),
    /// End a task: SIGTERM to its tree, SIGKILL after the grace. A later order may shorten it.
    Kill {
        /// Which task.
        container: String,
        /// Milliseconds; 0 is SIGKILL at once.
        grace_ms: u64,
    },
    /// End every task, then the launcher itself.
    End {
        /// Milliseconds between SIGTERM and SIGKILL.
        grace_ms: u64,
    },
    /// The end of a task is on the agent's record: it need not be listed any more.
    Forget {
        /// Which task.
        container: String,
    },
    /// How long to keep tasks without an agent.
    Keep {
        /// Milliseconds.
        recovery_timeout_ms: u64,
    },
    /// Go on as another program. Answered by a new [`Notice::Hello`] or [`Notice::NotUpgraded`].
    Upgrade {
        /// The executable.
        program: Vec<u8>,
        /// What makes it a launcher; the launcher's own arguments follow these.
        args: Vec<Vec<u8>>,
    },
}

/// All that the launcher needs to start one task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Start {
    /// Names the task in every later message.
    pub(crate) container: String,
    /// What to execute: a path, or a name that is looked for in the `PATH` of `env`.
    pub(crate) program: Vec<u8>,
    /// Its arguments, the zeroth included.
    pub(crate) argv: Vec<Vec<u8>>,
    /// Its environment, `NAME=value` each.
    pub(crate) env: Vec<Vec<u8>>,
    /// Working directory; `stdout` and `stderr` are appended to in it.
    pub(crate) sandbox: Vec<u8>,
    /// Whom to run as; the launcher's own user if not given.
    pub(crate) user: Option<Credentials>,
    /// The cgroups to make and to join. The first is the one that all processes are found by.
    pub(crate) groups: Vec<Group>,
    /// Files to be read once the last process ended, before the cgroups go: see [`Notice::Exited`].
    pub(crate) reports: Vec<Vec<u8>>,
    /// The directory of a v1 memory cgroup: when it runs out of memory, the whole task is killed.
    pub(crate) oom_watch: Option<Vec<u8>>,
    /// How long the start may take, in milliseconds.
    pub(crate) deadline_ms: u64,
    /// `NAME=value` that is in `env` of this task alone, by which its strays are known.
    pub(crate) marker: Vec<u8>,
}

/// Whom a task runs as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Credentials {
    /// User id.
    pub(crate) uid: u32,
    /// Group id.
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
}

/// A cgroup to be made for one task, and removed after it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Group {
    /// Its directory.
    pub(crate) dir: Vec<u8>,
    /// What to write before the task joins: file name in the directory, contents.
    pub(crate) settings: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What the launcher reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Answers the agent's greeting. Once more after an upgrade.
    Hello(Hello),
    /// In the list: the start was ordered and is not answered yet.
    Starting {
        /// Which task.
        container: String,
    },
    /// The list that follows the greeting is complete.
    Listed,
    /// The program was executed. Its end is not told yet.
    Started {
        /// Which task.
        container: String,
        /// Its main process.
        pid: i32,
        /// Tells the process from others that had or will have its number: see
        /// [`pidfd::identity`](super::pidfd::identity).
        identity: u64,
    },
    /// The program was not executed, and nothing of the task is left.
    StartFailed {
        /// Which task.
        container: String,
        /// What failed, such as `exec /nope`.
        step: String,
        /// The `errno`.
        errno: i32,
    },
    /// The main process ended, its tree too, and its cgroups are gone.
    Exited {
        /// Which task.
        container: String,
        /// How the main process ended.
        end: End,
        /// Its memory cgroup told that it was out of memory: see [`Start::oom_watch`].
        oom: bool,
        /// The contents of the files asked for in [`Start::reports`], empty where unreadable.
        reports: Vec<Vec<u8>>,
    },
    /// After [`Order::End`]: nothing is left, the launcher goes.
    Ended,
    /// The launcher goes on as the program that it was.
    NotUpgraded {
        /// For people.
        reason: String,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It exited with this status.
    Exit(u8),
    /// This signal killed it.
    Signal(u8),
}

impl Hello {
    /// The launcher is ending its tasks, and starts none: it is to be heard, not to be asked.
    pub(crate) const ENDING: u64 = 1;

    pub(crate) fn is_ending(&self) -> bool {
        self.features & Self::ENDING != 0
    }

    /// This process's greeting.
    pub(crate) fn ours(instance: &str) -> Self {
        Self {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            version: versions::MEROS_VERSION.to_owned(),
            features: 0,
            pid: std::process::id(),
            instance: instance.to_owned(),
            build: String::new(),
            state_format: 0,
        }
    }

    /// The version that the sender and we speak: the greatest that both know.
    pub(crate) fn agreed(&self) -> Option<u32> {
        let low = PROTOCOL_MIN.max(self.protocol_min);
        let high = PROTOCOL_MAX.min(self.protocol_max);
        (low <= high).then_some(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ends_speak_the_greatest_version_that_both_know() {
        let peer = |protocol_min, protocol_max| {
            Hello { protocol_min, protocol_max, ..Hello::ours("a") }.agreed()
        };
        assert_eq!(peer(PROTOCOL_MIN, PROTOCOL_MAX), Some(PROTOCOL_MAX));
        assert_eq!(peer(0, 99), Some(PROTOCOL_MAX));
        assert_eq!(peer(0, PROTOCOL_MIN - 1), None);
        assert_eq!(peer(PROTOCOL_MAX + 1, 99), None);
        assert_eq!(peer(3, 1), None);
    }
}
