//! What a launcher leaves to the program that takes its place, and its bytes.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `MEROSLST` |
//! | 4 | the format, as a little-endian `u32` |
//! | 4 + n | the version of the writer, for people |
//! | 4 | CRC-32C of what follows |
//! | 4 + n | the state, as the frames' fields are |
//!
//! It is read by the same process a moment after it was written, and by nobody else: but by another
//! build. Before it is written, the agent has asked that build whether it can read the format.
//!
//! Pure: values in, bytes out. Descriptors are numbers here.

use std::os::fd::RawFd;

use meros_proto::versions;

use super::{
    codec::{Reader, WireError, Writer},
    ends::Outcome,
    tasks::Main,
    wire::{End, Hello, Notice, Order, Start},
};

/// The format that this build writes.
pub(crate) const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"MEROSLST";

/// Whether this build reads a format.
pub(super) fn can_read(format: u32) -> bool {
    format == FORMAT
}

/// All that a launcher knows and can't find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// What its tasks get as `oom_score_adj`.
    pub(super) oom_score: Option<Vec<u8>>,
    pub(super) listener: RawFd,
    pub(super) agent: AgentState,
    pub(super) tasks: Vec<TaskState>,
    /// The starts that were not begun, in order.
    pub(super) queued: Vec<Start>,
    /// The ends that no agent has confirmed, the oldest first.
    pub(super) ends: Vec<(String, Outcome)>,
}

/// The stream to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentState {
    pub(super) stream: RawFd,
    pub(super) hello: Hello,
    pub(super) unread: Vec<u8>,
    pub(super) unsent: Vec<u8>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TaskState {
    pub(super) name: String,
    pub(super) stage: StageState,
    /// Milliseconds until SIGKILL.
    pub(super) kill_ms: Option<u64>,
    pub(super) groups: Vec<Vec<u8>>,
    pub(super) reports: Vec<Vec<u8>>,
    pub(super) marker: Vec<u8>,
    pub(super) oom_events: Option<RawFd>,
    pub(super) oom: bool,
    pub(super) given_up: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StageState {
    Starting,
    Running(Main),
    Ending(Main, End),
}

/// Why bytes aren't a state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StateError {
    #[error("these bytes are no launcher's state")]
    NoState,
    #[error("the state has format {format}, written by {writer}; this build reads {FORMAT}")]
    Format { format: u32, writer: String },
    #[error("the state is damaged: its checksum doesn't match")]
    Checksum,
    #[error("the state can't be read: {0}")]
    Field(#[from] WireError),
}

impl State {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        self.write(&mut Writer::new(&mut fields));
        let mut out = MAGIC.to_vec();
        let mut w = Writer::new(&mut out);
        w.u32(FORMAT);
        w.bytes(versions::MEROS_VERSION.as_bytes());
        w.u32(crc32c::crc32c(&fields));
        w.bytes(&fields);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut r = Reader(bytes.strip_prefix(&MAGIC).ok_or(StateError::NoState)?);
        let (format, writer) = (r.u32()?, r.text()?);
        if !can_read(format) {
            return Err(StateError::Format { format, writer });
        }
        let (checksum, fields) = (r.u32()?, r.bytes()?);
        if crc32c::crc32c(&fields) != checksum {
            return Err(StateError::Checksum);
        }
        Ok(Self::read(&mut Reader(&fields))?)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.option(self.oom_score.as_ref(), |w, score| w.bytes(score));
        w.i32(self.listener);
        let AgentState { stream, hello, unread, unsent } = &self.agent;
        w.i32(*stream);
        w.message(|out| Order::Hello(hello.clone()).encode(out));
        w.bytes(unread);
        w.bytes(unsent);
        w.list(&self.tasks, |w, task| w.task(task));
        w.list(&self.queued, |w, start| {
            w.message(|out| Order::Start(Box::new(start.clone())).encode(out));
        });
        w.list(&self.ends, |w, (name, outcome)| {
            w.message(|out| outcome.clone().notice(name.clone()).encode(out));
        });
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            oom_score: r.option(Reader::bytes)?,
            listener: r.i32()?,
            agent: AgentState {
                stream: r.i32()?,
                hello: match Order::decode(&r.bytes()?)? {
                    Order::Hello(hello) => hello,
                    _ => return Err(WireError::Invalid),
                },
                unread: r.bytes()?,
                unsent: r.bytes()?,
            },
            tasks: r.list(Reader::task)?,
            queued: r.list(|r| match Order::decode(&r.bytes()?)? {
                Order::Start(start) => Ok(*start),
                _ => Err(WireError::Invalid),
            })?,
            ends: r
                .list(|r| Outcome::of(Notice::decode(&r.bytes()?)?).ok_or(WireError::Invalid))?,
        })
    }
}

impl Writer<'_> {
    /// A message as its frame has it.
    fn message(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut frame = Vec::new();
        encode(&mut frame);
        self.bytes(frame.get(4..).unwrap_or_default());
    }

    fn task(&mut self, task: &TaskState) {
        self.bytes(task.name.as_bytes());
        match task.stage {
            StageState::Starting => self.u8(0),
            StageState::Running(main) => {
                self.u8(1);
                self.main(main);
            }
            StageState::Ending(main, end) => {
                self.u8(2);
                self.main(main);
                self.end(end);
            }
        }
        self.option(task.kill_ms.as_ref(), |w, millis| w.u64(*millis));
        self.list(&task.groups, |w, group| w.bytes(group));
        self.list(&task.reports, |w, report| w.bytes(report));
        self.bytes(&task.marker);
        self.option(task.oom_events.as_ref(), |w, fd| w.i32(*fd));
        self.u8(u8::from(task.oom));
        self.u8(u8::from(task.given_up));
    }

    fn main(&mut self, main: Main) {
        self.i32(main.pid);
        self.u64(main.identity);
    }
}

impl Reader<'_> {
    fn task(&mut self) -> Result<TaskState, WireError> {
        Ok(TaskState {
            name: self.text()?,
            stage: match self.u8()? {
                0 => StageState::Starting,
                1 => StageState::Running(self.main()?),
                2 => StageState::Ending(self.main()?, self.end()?),
                _ => return Err(WireError::Invalid),
            },
            kill_ms: self.option(Self::u64)?,
            groups: self.list(Self::bytes)?,
            reports: self.list(Self::bytes)?,
            marker: self.bytes()?,
            oom_events: self.option(Self::i32)?,
            oom: self.u8()? != 0,
            given_up: self.u8()? != 0,
        })
    }

    fn main(&mut self) -> Result<Main, WireError> {
        Ok(Main { pid: self.i32()?, identity: self.u64()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::launcher::wire::samples;

    fn blobs() -> impl Strategy<Value = Vec<Vec<u8>>> {
        vec(any::<Vec<u8>>(), 0..4)
    }

    fn stages() -> impl Strategy<Value = StageState> {
        let mains = || any::<(i32, u64)>().prop_map(|(pid, identity)| Main { pid, identity });
        prop_oneof![
            Just(StageState::Starting),
            mains().prop_map(StageState::Running),
            (mains(), samples::ends()).prop_map(|(main, end)| StageState::Ending(main, end)),
        ]
    }

    fn tasks() -> impl Strategy<Value = TaskState> {
        (
            (".*", stages(), option::of(any::<u64>())),
            (blobs(), blobs(), any::<Vec<u8>>()),
            any::<(Option<i32>, bool, bool)>(),
        )
            .prop_map(|((name, stage, kill_ms), (groups, reports, marker), rest)| {
                let (oom_events, oom, given_up) = rest;
                TaskState {
                    name,
                    stage,
                    kill_ms,
                    groups,
                    reports,
                    marker,
                    oom_events,
                    oom,
                    given_up,
                }
            })
    }

    fn outcomes() -> impl Strategy<Value = (String, Outcome)> {
        let failed = (".*", any::<i32>()).prop_map(|(step, errno)| Outcome::Failed { step, errno });
        let exited = (samples::ends(), any::<bool>(), blobs())
            .prop_map(|(end, oom, reports)| Outcome::Exited { end, oom, reports });
        (".*", prop_oneof![failed, exited])
    }

    fn states() -> impl Strategy<Value = State> {
        let agents =
            (any::<i32>(), samples::hellos(), any::<Vec<u8>>(), any::<Vec<u8>>()).prop_map(
                |(stream, hello, unread, unsent)| AgentState { stream, hello, unread, unsent },
            );
        (
            (option::of(any::<Vec<u8>>()), any::<i32>(), agents),
            (vec(tasks(), 0..4), vec(samples::starts(), 0..3), vec(outcomes(), 0..4)),
        )
            .prop_map(|((oom_score, listener, agent), (tasks, queued, ends))| State {
                oom_score,
                listener,
                agent,
                tasks,
                queued,
                ends,
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_state_comes_out_as_it_went_in(state in states()) {
            prop_assert_eq!(State::decode(&state.encode()), Ok(state));
        }

        #[test]
        fn a_damaged_state_is_refused(state in states(), at in any::<usize>(), bit in 0..8_u8) {
            let mut bytes = state.encode();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            // The writer's version is for people, and may say anything.
            prop_assume!(!(16..16 + versions::MEROS_VERSION.len()).contains(&at));
            prop_assert!(State::decode(&bytes).is_err());
            bytes.truncate(at);
            prop_assert!(State::decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_a_state_or_an_error(bytes in any::<Vec<u8>>()) {
            let _ = State::decode(&bytes);
            let _ = State::read(&mut Reader(&bytes));
        }
    }

    #[test]
    fn the_bytes_of_a_task_are_these() {
        let task = TaskState {
            name: "c".to_owned(),
            stage: StageState::Ending(Main { pid: 7, identity: 8 }, End::Signal(9)),
            kill_ms: Some(3000),
            groups: vec![b"/g".to_vec()],
            reports: Vec::new(),
            marker: b"m".to_vec(),
            oom_events: Some(5),
            oom: true,
            given_up: false,
        };
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).task(&task);
        let expected = b"\x01\0\0\0c\x02\x07\0\0\0\x08\0\0\0\0\0\0\0\x01\x09\
            \x01\xb8\x0b\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0/g\0\0\0\0\x01\0\0\0m\
            \x01\x05\0\0\0\x01\0";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn another_format_is_refused_with_its_writer() {
        let mut bytes = b"MEROSLST\x09\0\0\0\x05\0\0\09.9.9".to_vec();
        let error = State::decode(&bytes).expect_err("from the future").to_string();
        assert_eq!(error, "the state has format 9, written by 9.9.9; this build reads 1");
        bytes[0] = b'X';
        assert_eq!(State::decode(&bytes), Err(StateError::NoState));
        assert!(can_read(FORMAT) && !can_read(FORMAT + 1));
    }
}
