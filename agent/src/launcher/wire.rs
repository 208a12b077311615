//! What the agent and the launcher say to each other, and its bytes.
//!
//! A frame is a little-endian `u32` length, then so many bytes: a tag and the fields of the message
//! in order. Numbers are little-endian, byte strings and lists carry a `u32` count. A reader ignores
//! what follows the fields it knows, so a later version may append fields; a tag it doesn't know is
//! an error, so a new message needs a new protocol version. Both ends begin with [`Hello`].
//!
//! Pure: bytes in, values out. Paths and variables are bytes, as the kernel has them.

use meros_proto::versions;

use super::codec::{Reader, WireError, Writer, frame};

/// The first message of each end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The least version of this protocol that the sender speaks.
    pub(crate) protocol_min: u32,
    /// The greatest.
    pub(crate) protocol_max: u32,
    /// The sender's own version, for people.
    pub(crate) version: String,
    /// A bit for each optional feature; none yet.
    pub(crate) features: u64,
    /// The sender's process.
    pub(crate) pid: u32,
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
    /// Answers the agent's greeting.
    Hello(Hello),
    /// The program was executed.
    Started {
        /// Which task.
        container: String,
        /// Its main process.
        pid: i32,
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
    /// This build's greeting.
    pub(crate) fn ours() -> Self {
        Self {
            protocol_min: versions::PROTOCOL_MIN,
            protocol_max: versions::PROTOCOL_MAX,
            version: versions::MEROS_VERSION.to_owned(),
            features: 0,
            pid: std::process::id(),
        }
    }
}

impl Order {
    /// Appends the message as a frame.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        frame(out, |w| match self {
            Self::Hello(hello) => {
                w.u8(1);
                w.hello(hello);
            }
            Self::Start(start) => {
                w.u8(2);
                w.start(start);
            }
            Self::Kill { container, grace_ms } => {
                w.u8(3);
                w.bytes(container.as_bytes());
                w.u64(*grace_ms);
            }
            Self::End { grace_ms } => {
                w.u8(4);
                w.u64(*grace_ms);
            }
        });
    }

    /// Reads the inside of a frame.
    ///
    /// # Errors
    /// See [`WireError`].
    pub(crate) fn decode(frame: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader(frame);
        Ok(match r.u8()? {
            1 => Self::Hello(r.hello()?),
            2 => Self::Start(Box::new(r.start()?)),
            3 => Self::Kill { container: r.text()?, grace_ms: r.u64()? },
            4 => Self::End { grace_ms: r.u64()? },
            tag => return Err(WireError::UnknownTag(tag)),
        })
    }
}

impl Notice {
    /// Appends the message as a frame.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        frame(out, |w| match self {
            Self::Hello(hello) => {
                w.u8(1);
                w.hello(hello);
            }
            Self::Started { container, pid } => {
                w.u8(2);
                w.bytes(container.as_bytes());
                w.i32(*pid);
            }
            Self::StartFailed { container, step, errno } => {
                w.u8(3);
                w.bytes(container.as_bytes());
                w.bytes(step.as_bytes());
                w.i32(*errno);
            }
            Self::Exited { container, end, oom, reports } => {
                w.u8(4);
                w.bytes(container.as_bytes());
                let (kind, value) = match *end {
                    End::Exit(status) => (0, status),
                    End::Signal(signal) => (1, signal),
                };
                w.u8(kind);
                w.u8(value);
                w.u8(u8::from(*oom));
                w.list(reports, |w, report| w.bytes(report));
            }
            Self::Ended => w.u8(5),
        });
    }

    /// Reads the inside of a frame.
    ///
    /// # Errors
    /// See [`WireError`].
    pub(crate) fn decode(frame: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader(frame);
        Ok(match r.u8()? {
            1 => Self::Hello(r.hello()?),
            2 => Self::Started { container: r.text()?, pid: r.i32()? },
            3 => Self::StartFailed { container: r.text()?, step: r.text()?, errno: r.i32()? },
            4 => Self::Exited {
                container: r.text()?,
                end: match (r.u8()?, r.u8()?) {
                    (0, status) => End::Exit(status),
                    (1, signal) => End::Signal(signal),
                    _ => return Err(WireError::Invalid),
                },
                oom: r.u8()? != 0,
                reports: r.list(Reader::bytes)?,
            },
            5 => Self::Ended,
            tag => return Err(WireError::UnknownTag(tag)),
        })
    }
}

impl Writer<'_> {
    fn hello(&mut self, hello: &Hello) {
        self.u32(hello.protocol_min);
        self.u32(hello.protocol_max);
        self.bytes(hello.version.as_bytes());
        self.u64(hello.features);
        self.u32(hello.pid);
    }

    fn start(&mut self, start: &Start) {
        self.bytes(start.container.as_bytes());
        self.bytes(&start.program);
        self.list(&start.argv, |w, argument| w.bytes(argument));
        self.list(&start.env, |w, variable| w.bytes(variable));
        self.bytes(&start.sandbox);
        self.option(start.user.as_ref(), |w, user| {
            w.u32(user.uid);
            w.u32(user.gid);
            w.list(&user.groups, |w, group| w.u32(*group));
        });
        self.list(&start.groups, |w, group| {
            w.bytes(&group.dir);
            w.list(&group.settings, |w, (file, contents)| {
                w.bytes(file);
                w.bytes(contents);
            });
        });
        self.list(&start.reports, |w, report| w.bytes(report));
        self.option(start.oom_watch.as_ref(), |w, dir| w.bytes(dir));
        self.u64(start.deadline_ms);
        self.bytes(&start.marker);
    }
}

impl Reader<'_> {
    fn hello(&mut self) -> Result<Hello, WireError> {
        Ok(Hello {
            protocol_min: self.u32()?,
            protocol_max: self.u32()?,
            version: self.text()?,
            features: self.u64()?,
            pid: self.u32()?,
        })
    }

    fn start(&mut self) -> Result<Start, WireError> {
        Ok(Start {
            container: self.text()?,
            program: self.bytes()?,
            argv: self.list(Self::bytes)?,
            env: self.list(Self::bytes)?,
            sandbox: self.bytes()?,
            user: self.option(|r| {
                Ok(Credentials { uid: r.u32()?, gid: r.u32()?, groups: r.list(Self::u32)? })
            })?,
            groups: self.list(|r| {
                Ok(Group { dir: r.bytes()?, settings: r.list(|r| Ok((r.bytes()?, r.bytes()?)))? })
            })?,
            reports: self.list(Self::bytes)?,
            oom_watch: self.option(Self::bytes)?,
            deadline_ms: self.u64()?,
            marker: self.bytes()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::launcher::codec::Frames;

    fn hellos() -> impl Strategy<Value = Hello> {
        (any::<(u32, u32, u64, u32)>(), ".*").prop_map(
            |((protocol_min, protocol_max, features, pid), version)| Hello {
                protocol_min,
                protocol_max,
                version,
                features,
                pid,
            },
        )
    }

    fn blobs() -> impl Strategy<Value = Vec<Vec<u8>>> {
        vec(any::<Vec<u8>>(), 0..4)
    }

    fn starts() -> impl Strategy<Value = Start> {
        let user = (any::<(u32, u32)>(), vec(any::<u32>(), 0..4))
            .prop_map(|((uid, gid), groups)| Credentials { uid, gid, groups });
        let group = (any::<Vec<u8>>(), vec(any::<(Vec<u8>, Vec<u8>)>(), 0..3))
            .prop_map(|(dir, settings)| Group { dir, settings });
        (
            (".*", any::<Vec<u8>>(), blobs(), blobs(), any::<Vec<u8>>()),
            (option::of(user), vec(group, 0..3), blobs()),
            (option::of(any::<Vec<u8>>()), any::<u64>(), any::<Vec<u8>>()),
        )
            .prop_map(
                |(
                    (container, program, argv, env, sandbox),
                    (user, groups, reports),
                    (oom_watch, deadline_ms, marker),
                )| Start {
                    container,
                    program,
                    argv,
                    env,
                    sandbox,
                    user,
                    groups,
                    reports,
                    oom_watch,
                    deadline_ms,
                    marker,
                },
            )
    }

    fn orders() -> impl Strategy<Value = Order> {
        prop_oneof![
            hellos().prop_map(Order::Hello),
            starts().prop_map(|start| Order::Start(Box::new(start))),
            (".*", any::<u64>())
                .prop_map(|(container, grace_ms)| Order::Kill { container, grace_ms }),
            any::<u64>().prop_map(|grace_ms| Order::End { grace_ms }),
        ]
    }

    fn notices() -> impl Strategy<Value = Notice> {
        let end = prop_oneof![any::<u8>().prop_map(End::Exit), any::<u8>().prop_map(End::Signal)];
        prop_oneof![
            hellos().prop_map(Notice::Hello),
            (".*", any::<i32>()).prop_map(|(container, pid)| Notice::Started { container, pid }),
            (".*", ".*", any::<i32>()).prop_map(|(container, step, errno)| Notice::StartFailed {
                container,
                step,
                errno
            }),
            (".*", end, any::<bool>(), blobs()).prop_map(|(container, end, oom, reports)| {
                Notice::Exited { container, end, oom, reports }
            }),
            Just(Notice::Ended),
        ]
    }

    /// Feeds `bytes` in pieces of `size` and returns what `decode` makes of the frames.
    fn read<T>(
        bytes: &[u8],
        size: usize,
        decode: impl Fn(&[u8]) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let mut frames = Frames::default();
        let mut messages = Vec::new();
        for piece in bytes.chunks(size) {
            frames.push(piece);
            while let Some(frame) = frames.take()? {
                messages.push(decode(frame)?);
            }
        }
        Ok(messages)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn orders_come_out_as_they_went_in_however_they_are_cut(
            orders in vec(orders(), 0..5),
            size in 1..200_usize,
        ) {
            let mut bytes = Vec::new();
            orders.iter().for_each(|order| order.encode(&mut bytes));
            prop_assert_eq!(read(&bytes, size, Order::decode), Ok(orders));
        }

        #[test]
        fn notices_come_out_as_they_went_in_however_they_are_cut(
            notices in vec(notices(), 0..5),
            size in 1..200_usize,
        ) {
            let mut bytes = Vec::new();
            notices.iter().for_each(|notice| notice.encode(&mut bytes));
            prop_assert_eq!(read(&bytes, size, Notice::decode), Ok(notices));
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in any::<Vec<u8>>()) {
            let _ = Order::decode(&bytes);
            let _ = Notice::decode(&bytes);
            let _ = read(&bytes, 7, Order::decode);
        }

        #[test]
        fn a_cut_message_is_an_error_and_a_longer_one_is_not(order in orders()) {
            let mut bytes = Vec::new();
            order.encode(&mut bytes);
            let frame = &mut bytes.split_off(4);
            for length in 0..frame.len() {
                prop_assert!(Order::decode(&frame[..length]).is_err());
            }
            frame.extend_from_slice(b"a field of a later version");
            prop_assert_eq!(Order::decode(frame), Ok(order));
        }
    }

    #[test]
    fn the_bytes_of_a_kill_are_these() {
        let mut bytes = Vec::new();
        Order::Kill { container: "c1".to_owned(), grace_ms: 3000 }.encode(&mut bytes);
        assert_eq!(bytes, b"\x0f\0\0\0\x03\x02\0\0\0c1\xb8\x0b\0\0\0\0\0\0");
    }
}
