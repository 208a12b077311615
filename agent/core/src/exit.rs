//! How a command ended, and the words that Mesos has for it.

use std::fmt;

/// How a container's first process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It ended, and nobody who could tell how was there.
    Unknown,
}

impl Exit {
    /// Whether the command did what it was asked to: status 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    /// As in the message of a status: `Command exited with status 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "Command exited with status {code}"),
            Self::Signal(signal) => match signal_text(*signal) {
                Some(text) => write!(f, "Command terminated with signal {text}"),
                None => write!(f, "Command terminated with signal Unknown signal {signal}"),
            },
            Self::Unknown => f.write_str("Command ended, and its exit status is not known"),
        }
    }
}

/// The text of strsignal(3) on Linux, which is what Mesos writes.
fn signal_text(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        4 => "Illegal instruction",
        5 => "Trace/breakpoint trap",
        6 => "Aborted",
        7 => "Bus error",
        8 => "Floating point exception",
        9 => "Killed",
        10 => "User defined signal 1",
        11 => "Segmentation fault",
        12 => "User defined signal 2",
        13 => "Broken pipe",
        14 => "Alarm clock",
        15 => "Terminated",
        16 => "Stack fault",
        17 => "Child exited",
        18 => "Continued",
        19 => "Stopped (signal)",
        20 => "Stopped",
        21 => "Stopped (tty input)",
        22 => "Stopped (tty output)",
        23 => "Urgent I/O condition",
        24 => "CPU time limit exceeded",
        25 => "File size limit exceeded",
        26 => "Virtual timer expired",
        27 => "Profiling timer expired",
        28 => "Window changed",
        29 => "I/O possible",
        30 => "Power failure",
        31 => "Bad system call",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_reads_as_mesos_writes_it() {
        for (exit, text) in [
            (Exit::Code(0), "Command exited with status 0"),
            (Exit::Code(127), "Command exited with status 127"),
            (Exit::Signal(15), "Command terminated with signal Terminated"),
            (Exit::Signal(11), "Command terminated with signal Segmentation fault"),
            (Exit::Signal(40), "Command terminated with signal Unknown signal 40"),
        ] {
            assert_eq!(exit.to_string(), text);
        }
    }
}
