//! Starts a launcher process. Blocks.
//!
//! The agent makes the listening socket and gives it to the launcher, so that it can connect to it
//! without having to wait for the launcher to get so far. The socket's file stays in the work
//! directory: through it the next agent finds the launcher.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    attach::{Attached, Ungreeted},
    socket::{self, Socket},
};
use crate::containerizer::{ContainerizerConfig, StartError};

/// What the launcher has to say to people.
const LOG_FILE: &str = "launcher.log";
/// Beyond this the log begins anew when a launcher is started.
const LOG_MAX: u64 = 1 << 20;
/// How long a program may take to say whether it can take a launcher's place.
const CHECK_PATIENCE: Duration = Duration::from_secs(10);

/// Starts a launcher and greets it.
///
/// # Errors
/// See [`StartError`]; the launcher doesn't run then.
pub(crate) fn start(
    config: &ContainerizerConfig,
    instance: &str,
    hierarchies: &[PathBuf],
) -> Result<Attached, StartError> {
    let failed = |source| StartError::WorkDir { path: config.work_dir.clone(), source };
    let socket = Socket::in_dir(&config.work_dir).map_err(failed)?;
    let listener = socket.listen().map_err(failed)?;
    let log = open_log(&config.work_dir).map_err(failed)?;
    let mut command = Command::new(&config.launcher_exe);
    command
        .args(&config.launcher_args)
        .arg("--work-dir")
        .arg(&config.work_dir)
        .args(["--instance", instance, "--recovery-timeout-ms"])
        .arg(config.recovery_timeout.as_millis().to_string())
        // Tasks get theirs with each order.
        .env_clear()
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(log);
    for mount in hierarchies {
        command.arg("--hierarchy").arg(mount);
    }
    let mut child = command
        .spawn()
        .map_err(|source| StartError::Spawn { exe: config.launcher_exe.clone(), source })?;
    // The command holds the listener too: dropped, so that a launcher that dies closes it.
    drop(command);
    let pid = i32::try_from(child.id()).unwrap_or(0);
    let greeted = socket::note_process(&config.work_dir, pid)
        .map_err(failed)
        .and_then(|()| greet(&socket, instance, &mut child, &config.work_dir));
    match greeted {
        Ok(attached) => Ok(Attached { child: Some(child), ..attached }),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

fn greet(
    socket: &Socket,
    instance: &str,
    child: &mut Child,
    work_dir: &Path,
) -> Result<Attached, StartError> {
    // Refused only by a launcher that is gone already: the socket listened before it was started.
    let greeted = socket.connect().map_err(|_| Ungreeted::Closed).and_then(|stream| {
        let mut attached = Attached::greet(stream, instance)?;
        attached.hear_inventory()?;
        Ok(attached)
    });
    greeted.map_err(|why| StartError::Greeting(explain(child, work_dir, why)))
}

fn open_log(work_dir: &Path) -> io::Result<File> {
    let path = work_dir.join(LOG_FILE);
    let long = fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_MAX);
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    if long {
        log.set_len(0)?;
    }
    Ok(log)
}

/// What went wrong at the start, with the last thing that the launcher itself said.
fn explain(child: &mut Child, work_dir: &Path, why: Ungreeted) -> String {
    let mut message = match why {
        // It closed the stream since it is on its way out: how, is known in a moment.
        Ungreeted::Closed => match child.wait() {
            Ok(status) => format!("it ended with {status}"),
            Err(error) => error.to_string(),
        },
        why => why.to_string(),
    };
    if let Ok(log) = fs::read_to_string(work_dir.join(LOG_FILE))
        && let Some(last) = log.lines().next_back()
    {
        message = format!("{message}: {last}");
    }
    message
}

/// Asks an executable whether it runs here, and can take the place of a launcher that writes its
/// state in this format.
///
/// # Errors
/// Why not, for people.
pub(crate) fn can_succeed(config: &ContainerizerConfig, state_format: u32) -> Result<(), String> {
    let mut child = Command::new(&config.launcher_exe)
        .args(&config.launcher_args)
        .args(["--can-read", &state_format.to_string()])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let until = Instant::now() + CHECK_PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                return Err(format!(
                    "asked for state format {state_format}, it ended with {status}"
                ));
            }
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            outcome => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(match outcome {
                    Err(error) => error.to_string(),
                    Ok(_) => "it does not answer".to_owned(),
                });
            }
        }
    }
}
