//! The bytes of orders and notices.

use super::{Credentials, End, Group, Hello, Notice, Order, Start};
use crate::launcher::codec::{Reader, WireError, Writer, frame};

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
            Self::Forget { container } => {
                w.u8(5);
                w.bytes(container.as_bytes());
            }
            Self::Keep { recovery_timeout_ms } => {
                w.u8(6);
                w.u64(*recovery_timeout_ms);
            }
            Self::Upgrade { program, args } => {
                w.u8(7);
                w.bytes(program);
                w.list(args, |w, argument| w.bytes(argument));
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
            5 => Self::Forget { container: r.text()? },
            6 => Self::Keep { recovery_timeout_ms: r.u64()? },
            7 => Self::Upgrade { program: r.bytes()?, args: r.list(Reader::bytes)? },
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
            Self::Started { container, pid, identity } => {
                w.u8(2);
                w.bytes(container.as_bytes());
                w.i32(*pid);
                w.u64(*identity);
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
                w.end(*end);
                w.u8(u8::from(*oom));
                w.list(reports, |w, report| w.bytes(report));
            }
            Self::Ended => w.u8(5),
            Self::Starting { container } => {
                w.u8(6);
                w.bytes(container.as_bytes());
            }
            Self::Listed => w.u8(7),
            Self::NotUpgraded { reason } => {
                w.u8(8);
                w.bytes(reason.as_bytes());
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
            2 => Self::Started { container: r.text()?, pid: r.i32()?, identity: r.u64()? },
            3 => Self::StartFailed { container: r.text()?, step: r.text()?, errno: r.i32()? },
            4 => Self::Exited {
                container: r.text()?,
                end: r.end()?,
                oom: r.u8()? != 0,
                reports: r.list(Reader::bytes)?,
            },
            5 => Self::Ended,
            6 => Self::Starting { container: r.text()? },
            7 => Self::Listed,
            8 => Self::NotUpgraded { reason: r.text()? },
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
        self.bytes(hello.instance.as_bytes());
        self.bytes(hello.build.as_bytes());
        self.u32(hello.state_format);
    }

    pub(crate) fn end(&mut self, end: End) {
        let (kind, value) = match end {
            End::Exit(status) => (0, status),
            End::Signal(signal) => (1, signal),
        };
        self.u8(kind);
        self.u8(value);
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
        let mut hello = Hello {
            protocol_min: self.u32()?,
            protocol_max: self.u32()?,
            version: self.text()?,
            features: self.u64()?,
            pid: self.u32()?,
            instance: String::new(),
            build: String::new(),
            state_format: 0,
        };
        // Version 1 ended here; that it can't be spoken is to be said with its own numbers.
        if !self.is_empty() {
            hello.instance = self.text()?;
            hello.build = self.text()?;
            hello.state_format = self.u32()?;
        }
        Ok(hello)
    }

    pub(crate) fn end(&mut self) -> Result<End, WireError> {
        match (self.u8()?, self.u8()?) {
            (0, status) => Ok(End::Exit(status)),
            (1, signal) => Ok(End::Signal(signal)),
            _ => Err(WireError::Invalid),
        }
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
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::launcher::codec::Frames;
    use crate::launcher::wire::samples::{blobs, ends, hellos, starts};

    fn orders() -> impl Strategy<Value = Order> {
        prop_oneof![
            hellos().prop_map(Order::Hello),
            starts().prop_map(|start| Order::Start(Box::new(start))),
            (".*", any::<u64>())
                .prop_map(|(container, grace_ms)| Order::Kill { container, grace_ms }),
            any::<u64>().prop_map(|grace_ms| Order::End { grace_ms }),
            ".*".prop_map(|container| Order::Forget { container }),
            any::<u64>().prop_map(|recovery_timeout_ms| Order::Keep { recovery_timeout_ms }),
            (any::<Vec<u8>>(), blobs())
                .prop_map(|(program, args)| Order::Upgrade { program, args }),
        ]
    }

    fn notices() -> impl Strategy<Value = Notice> {
        prop_oneof![
            hellos().prop_map(Notice::Hello),
            (".*", any::<i32>(), any::<u64>()).prop_map(|(container, pid, identity)| {
                Notice::Started { container, pid, identity }
            }),
            ".*".prop_map(|container| Notice::Starting { container }),
            (".*", ".*", any::<i32>()).prop_map(|(container, step, errno)| Notice::StartFailed {
                container,
                step,
                errno
            }),
            (".*", ends(), any::<bool>(), blobs()).prop_map(|(container, end, oom, reports)| {
                Notice::Exited { container, end, oom, reports }
            }),
            Just(Notice::Ended),
            Just(Notice::Listed),
            ".*".prop_map(|reason| Notice::NotUpgraded { reason }),
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
                match Order::decode(&frame[..length]) {
                    // As long as version 1 had it.
                    Ok(Order::Hello(hello)) => prop_assert_eq!(hello.instance, ""),
                    cut => prop_assert!(cut.is_err()),
                }
            }
            frame.extend_from_slice(b"a field of a later version");
            prop_assert_eq!(Order::decode(frame), Ok(order));
        }
    }

    #[test]
    fn a_greeting_of_version_1_is_understood() {
        let bytes = b"\x01\x01\0\0\0\x01\0\0\0\x05\0\0\x000.1.0\0\0\0\0\0\0\0\0\x07\0\0\0";
        let Ok(Order::Hello(hello)) = Order::decode(bytes) else { panic!("no greeting") };
        assert_eq!((hello.protocol_min, hello.protocol_max, hello.pid), (1, 1, 7));
        assert_eq!((hello.version.as_str(), hello.instance.as_str()), ("0.1.0", ""));
        assert_eq!(hello.agreed(), None);
    }

    #[test]
    fn the_bytes_of_a_kill_are_these() {
        let mut bytes = Vec::new();
        Order::Kill { container: "c1".to_owned(), grace_ms: 3000 }.encode(&mut bytes);
        assert_eq!(bytes, b"\x0f\0\0\0\x03\x02\0\0\0c1\xb8\x0b\0\0\0\0\0\0");
    }
}
