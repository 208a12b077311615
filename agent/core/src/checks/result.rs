//! What a check last told, as statuses carry it.

use meros_proto::v1;
use meros_proto::v1::check_info::Type;
use meros_proto::v1::{CheckStatusInfo, check_status_info};

use super::terms::How;
use super::watch::Answer;

/// The last result of a task's check; without one while there is none, or none could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStatus {
    /// The command's exit status.
    Command(Option<i32>),
    /// The status of the HTTP answer.
    Http(Option<u16>),
    /// Whether there was a connection.
    Tcp(Option<bool>),
}

impl CheckStatus {
    /// Of a check that has told nothing. Every status of a task with a check carries at least this.
    pub(crate) fn unknown(how: &How) -> Self {
        match how {
            How::Command => Self::Command(None),
            How::Http { .. } => Self::Http(None),
            How::Tcp { .. } => Self::Tcp(None),
        }
    }

    /// What an answer says.
    pub(super) fn of(how: &How, answer: &Answer) -> Self {
        match answer {
            Answer::Exited(code) => Self::Command(Some(*code)),
            Answer::Http(status) => Self::Http(Some(*status)),
            Answer::Tcp(connected) => Self::Tcp(Some(*connected)),
            Answer::Failed(_) => Self::unknown(how),
        }
    }

    pub(crate) fn to_proto(self) -> CheckStatusInfo {
        let of = |kind: Type| CheckStatusInfo { r#type: Some(kind as i32), ..Default::default() };
        match self {
            Self::Command(exit_code) => CheckStatusInfo {
                command: Some(check_status_info::Command { exit_code }),
                ..of(Type::Command)
            },
            Self::Http(status) => CheckStatusInfo {
                http: Some(check_status_info::Http { status_code: status.map(u32::from) }),
                ..of(Type::Http)
            },
            Self::Tcp(succeeded) => {
                CheckStatusInfo { tcp: Some(check_status_info::Tcp { succeeded }), ..of(Type::Tcp) }
            }
        }
    }

    /// The inverse; `None` for what this agent never writes.
    pub(crate) fn from_proto(info: &v1::CheckStatusInfo) -> Option<Self> {
        match info.r#type() {
            Type::Command => Some(Self::Command(info.command.as_ref()?.exit_code)),
            Type::Http => {
                let status = info.http.as_ref()?.status_code;
                Some(Self::Http(status.and_then(|status| u16::try_from(status).ok())))
            }
            Type::Tcp => Some(Self::Tcp(info.tcp.as_ref()?.succeeded)),
            Type::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_reads_as_it_was_written() {
        for status in [
            CheckStatus::Command(None),
            CheckStatus::Command(Some(127)),
            CheckStatus::Http(None),
            CheckStatus::Http(Some(503)),
            CheckStatus::Tcp(None),
            CheckStatus::Tcp(Some(false)),
        ] {
            assert_eq!(CheckStatus::from_proto(&status.to_proto()), Some(status));
        }
        assert_eq!(CheckStatus::from_proto(&CheckStatusInfo::default()), None);
    }
}
