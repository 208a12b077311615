//! Where a sandbox lies, and how it is made.
//!
//! The tree is the one that tools know from Mesos agents:
//! `slaves/<agent>/frameworks/<framework>/executors/<executor>/runs/<container>`, with a link
//! `latest` beside the runs. Ids are path components as they are: their rules forbid `/` and `..`.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, symlink},
    path::{Path, PathBuf},
};

use meros_proto::ids::{AgentId, ContainerId, ExecutorId, FrameworkId};

/// The name of the link to an executor's newest run.
const LATEST: &str = "latest";

/// The directory of one executor, below which its runs lie.
pub fn executor_dir(
    work_dir: &Path,
    agent: &AgentId,
    framework: &FrameworkId,
    executor: &ExecutorId,
) -> PathBuf {
    work_dir
        .join("slaves")
        .join(agent.as_str())
        .join("frameworks")
        .join(framework.as_str())
        .join("executors")
        .join(executor.as_str())
}

/// The sandbox of one container.
pub fn run_dir(
    work_dir: &Path,
    agent: &AgentId,
    framework: &FrameworkId,
    executor: &ExecutorId,
    container: &ContainerId,
) -> PathBuf {
    executor_dir(work_dir, agent, framework, executor).join("runs").join(container.as_str())
}

/// The virtual path under which an executor's newest sandbox is readable.
pub fn virtual_latest(framework: &FrameworkId, executor: &ExecutorId) -> String {
    format!("/framework/{framework}/executor/{executor}/latest")
}

/// Makes a sandbox, if it isn't there, and points its `latest` link to it.
///
/// `owner` (uid, gid) gets the sandbox, not the directories above it.
///
/// # Errors
/// What the system said; a part of the tree may then exist.
pub fn make(sandbox: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    match fs::create_dir(sandbox) {
        Ok(()) => {}
        // The usual case is one missing level, the run; then two, its executor.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(sandbox)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && sandbox.is_dir() => {}
        Err(error) => return Err(error),
    }
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::lchown(sandbox, Some(uid), Some(gid))?;
    }
    if let (Some(runs), Some(run)) = (sandbox.parent(), sandbox.file_name())
        && runs.file_name().is_some_and(|name| name == "runs")
    {
        point_latest(runs, Path::new(run))?;
    }
    Ok(())
}

/// Replaces the link in one step, so that a reader never finds it missing.
fn point_latest(runs: &Path, run: &Path) -> io::Result<()> {
    let latest = runs.join(LATEST);
    match symlink(run, &latest) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        done => return done,
    }
    let mut fresh = run.as_os_str().to_owned();
    fresh.push(".latest");
    let fresh = runs.join(fresh);
    if let Err(error) = symlink(run, &fresh)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    fs::rename(fresh, latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (AgentId, FrameworkId, ExecutorId) {
        (
            AgentId::parse("a-S1").expect("a valid id"),
            FrameworkId::parse("f-1").expect("a valid id"),
            ExecutorId::parse("web.1").expect("a valid id"),
        )
    }

    #[test]
    fn the_newest_sandbox_is_behind_the_latest_link() {
        let work = tempfile::tempdir().expect("a temporary directory");
        let (agent, framework, executor) = ids();
        for run in ["c1", "c2", "c2"] {
            let container = ContainerId::parse(run).expect("a valid id");
            let sandbox = run_dir(work.path(), &agent, &framework, &executor, &container);
            make(&sandbox, None).expect("the sandbox is made");
            fs::write(sandbox.join("stdout"), run).expect("the sandbox is writable");
        }
        let latest = executor_dir(work.path(), &agent, &framework, &executor).join("runs/latest");
        assert_eq!(fs::read_link(&latest).expect("a link"), Path::new("c2"));
        assert_eq!(fs::read_to_string(latest.join("stdout")).expect("readable"), "c2");
        assert_eq!(fs::read_dir(latest.parent().expect("runs")).expect("readable").count(), 3);
    }

    #[test]
    fn a_file_in_the_place_of_a_sandbox_is_refused() {
        let work = tempfile::tempdir().expect("a temporary directory");
        let sandbox = work.path().join("runs/c1");
        fs::create_dir(work.path().join("runs")).expect("writable");
        fs::write(&sandbox, "").expect("writable");
        assert_eq!(make(&sandbox, None).map_err(|e| e.kind()), Err(io::ErrorKind::AlreadyExists));
    }

    #[test]
    fn virtual_paths_are_those_that_clients_ask_for() {
        let (_, framework, executor) = ids();
        assert_eq!(virtual_latest(&framework, &executor), "/framework/f-1/executor/web.1/latest");
    }
}
