//! The launcher's arguments.

use std::{ffi::OsString, os::fd::RawFd, path::PathBuf, time::Duration};

/// What the agent, or the launcher whose place it takes, starts it with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) work_dir: PathBuf,
    pub(super) instance: String,
    pub(super) recovery_timeout: Duration,
    /// Mount points of the cgroup hierarchies in which the launcher gets a group of its own.
    pub(super) hierarchies: Vec<PathBuf>,
    /// Where the launcher whose place it takes left its state.
    pub(super) resume: Option<RawFd>,
}

/// What it is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Run(Options),
    /// Only to say, by its exit status, whether it could resume from a state of this format.
    CanRead(u32),
}

impl Request {
    pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Options::default();
        let mut args = args.into_iter();
        while let Some(name) = args.next() {
            let name = name.to_string_lossy().into_owned();
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            let text = || value.to_str().ok_or_else(|| format!("{name}: not UTF-8"));
            let number = || format!("{name}: not a number");
            match name.as_str() {
                "--work-dir" => options.work_dir = value.into(),
                "--instance" => options.instance = text()?.to_owned(),
                "--recovery-timeout-ms" => {
                    let millis = text()?.parse().map_err(|_| number())?;
                    options.recovery_timeout = Duration::from_millis(millis);
                }
                "--hierarchy" => options.hierarchies.push(value.into()),
                "--resume" => options.resume = Some(text()?.parse().map_err(|_| number())?),
                "--can-read" => {
                    return Ok(Self::CanRead(text()?.parse().map_err(|_| number())?));
                }
                _ => return Err(format!("{name} is unknown (the agent starts this process)")),
            }
        }
        if options.instance.is_empty() || options.work_dir.as_os_str().is_empty() {
            return Err("is started by the agent, not by hand".to_owned());
        }
        Ok(Self::Run(options))
    }
}

impl Options {
    /// The reverse of [`Request::parse`].
    pub(super) fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--work-dir".into(), self.work_dir.clone().into()];
        args.extend(["--instance".into(), self.instance.clone().into()]);
        let millis = self.recovery_timeout.as_millis().to_string();
        args.extend(["--recovery-timeout-ms".into(), millis.into()]);
        for mount in &self.hierarchies {
            args.extend(["--hierarchy".into(), mount.clone().into()]);
        }
        if let Some(fd) = self.resume {
            args.extend(["--resume".into(), fd.to_string().into()]);
        }
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Request, String> {
        Request::parse(args.iter().map(OsString::from))
    }

    #[test]
    fn its_arguments_are_those_that_the_agent_gives() {
        let args = [
            "--work-dir",
            "/w",
            "--instance",
            "a-1",
            "--recovery-timeout-ms",
            "10000",
            "--hierarchy",
            "/sys/fs/cgroup/cpu",
            "--hierarchy",
            "/sys/fs/cgroup/memory",
            "--resume",
            "7",
        ];
        let Ok(Request::Run(options)) = parse(&args) else { panic!("refused") };
        assert_eq!(options.recovery_timeout, Duration::from_secs(10));
        assert_eq!(options.hierarchies.len(), 2);
        assert_eq!(options.resume, Some(7));
        assert_eq!(options.to_args(), args.map(OsString::from));
        assert_eq!(parse(&["--can-read", "1"]), Ok(Request::CanRead(1)));
        for args in [
            &[][..],
            &["--work-dir"],
            &["--work-dir", "/w"],
            &["--what", "x"],
            &["--recovery-timeout-ms", "soon"],
            &["--can-read", "x"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
