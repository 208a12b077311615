//! Where things lie in the agent's work directory.

use std::path::Path;

use meros_shell::work_dir::{WorkDir, WorkDirError};

/// The directory in it below which all sandboxes lie, under the name that Mesos gave it.
pub(crate) const SANDBOXES: &str = "slaves";

/// The file in it that the agent's records are in.
pub(crate) const LOG: &str = "agent.log";

/// Takes the directory, and makes the one for the sandboxes in it.
pub(crate) fn take(path: &Path) -> Result<WorkDir, WorkDirError> {
    let work_dir = WorkDir::take(path)?;
    work_dir.make_folder(SANDBOXES)?;
    Ok(work_dir)
}
