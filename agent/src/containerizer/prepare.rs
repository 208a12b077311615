//! Prepares launches: looks up the user, makes the sandbox, lays out the order to the launcher.
//!
//! Blocks on the disk and on the name service.

use std::{collections::HashMap, fs, io, os::unix::ffi::OsStrExt, time::Duration};

use meros_proto::ids::ContainerId;

use super::{
    config::{ContainerizerConfig, StartError},
    handle::LaunchSpec,
    isolators::{Fence, Isolators},
    plain,
    user::{self, User},
};
use crate::{
    launcher::wire::{Credentials, Start},
    sandbox::paths,
};

/// Holds the instance's name in the work directory.
const INSTANCE_FILE: &str = "launcher.instance";

/// A launch, ready for the launcher or not to be.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) container: ContainerId,
    /// The error is for the user.
    pub(super) start: Result<Start, String>,
}

/// The launcher works from `/`, so that it is told absolute paths only.
pub(super) fn absolute(config: ContainerizerConfig) -> Result<ContainerizerConfig, StartError> {
    match config.work_dir.canonicalize() {
        Ok(work_dir) => Ok(ContainerizerConfig { work_dir, ..config }),
        Err(source) => Err(StartError::WorkDir { path: config.work_dir, source }),
    }
}

/// The name under which an agent's cgroups and marks are known: the agent's own, and a digest of its
/// work directory, so that no two agents of a host share it.
///
/// Kept in the work directory: an agent that comes back under another name, having another port
/// say, finds what it left under the first.
pub(super) fn instance_name(config: &ContainerizerConfig) -> Result<String, StartError> {
    let failed = |source| StartError::WorkDir { path: config.work_dir.clone(), source };
    let digest = format!("-{:08x}", digest(config.work_dir.as_os_str().as_bytes()));
    let file = config.work_dir.join(INSTANCE_FILE);
    // In a copied directory it is the original's, and not ours to use.
    if let Ok(kept) = fs::read_to_string(&file)
        && kept.ends_with(&digest)
        && kept.chars().all(is_plain)
    {
        return Ok(kept);
    }
    let name: String =
        config.name.chars().map(|c| if is_plain(c) { c } else { '-' }).take(64).collect();
    let instance = format!("{name}{digest}");
    fs::write(&file, &instance).map_err(failed)?;
    Ok(instance)
}

/// Whether a character may be in a cgroup's name as it is.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// FNV-1a, 32 bits: short, and the same in every release.
fn digest(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Prepares a batch. `mark` is what the mark of each task begins with.
pub(super) fn all(
    batch: Vec<LaunchSpec>,
    isolators: &Isolators,
    mark: &str,
    deadline: Duration,
) -> Vec<Prepared> {
    let mut users = Users::new();
    batch
        .into_iter()
        .map(|spec| Prepared {
            start: one(&spec, isolators, mark, deadline, &mut users),
            container: spec.container,
        })
        .collect()
}

fn one(
    spec: &LaunchSpec,
    isolators: &Isolators,
    mark: &str,
    deadline: Duration,
    users: &mut Users,
) -> Result<Start, String> {
    let mark = format!("{mark}{}", spec.container);
    let program = plain::program(&spec.command, &spec.env, &mark).map_err(|e| e.to_string())?;
    let user = users.switch_to(spec.user.as_deref())?;
    let owner = user.as_ref().map(|user| (user.uid, user.gid));
    if spec.sandbox.is_relative() {
        return Err(format!("the sandbox {} is not absolute", spec.sandbox.display()));
    }
    paths::make(&spec.sandbox, owner).map_err(|error| sandbox_failure(spec, &error))?;
    let Fence { groups, reports, oom_watch } =
        isolators.fence(spec.container.as_str(), &spec.limits);
    Ok(Start {
        container: spec.container.as_str().to_owned(),
        program: program.program,
        argv: program.argv,
        env: program.env,
        sandbox: spec.sandbox.as_os_str().as_bytes().to_vec(),
        user,
        groups,
        reports,
        oom_watch,
        deadline_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
        marker: program.marker,
    })
}

fn sandbox_failure(spec: &LaunchSpec, error: &io::Error) -> String {
    format!("make the sandbox {}: {error}", spec.sandbox.display())
}

/// The users of one batch, each looked up once.
struct Users {
    is_root: bool,
    known: HashMap<String, Credentials>,
}

impl Users {
    fn new() -> Self {
        Self { is_root: rustix::process::geteuid().is_root(), known: HashMap::new() }
    }

    /// Whom to become; `None` to stay who we are, as only root may become somebody else.
    fn switch_to(&mut self, name: Option<&str>) -> Result<Option<Credentials>, String> {
        let Some(name) = name.filter(|name| self.is_root && *name != "root") else {
            return Ok(None);
        };
        if let Some(known) = self.known.get(name) {
            return Ok(Some(known.clone()));
        }
        let User { uid, gid, groups } = user::find(name).map_err(|error| match error {
            user::UserError::Lookup { ref source, .. } => format!("{error}: {source}"),
            user::UserError::Unknown(_) => error.to_string(),
        })?;
        let credentials = Credentials { uid, gid, groups };
        self.known.insert(name.to_owned(), credentials.clone());
        Ok(Some(credentials))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_after_the_agent_and_its_work_directory() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let name = |agent: &str, below: &str| {
            let work_dir = dir.path().join(below);
            std::fs::create_dir_all(&work_dir).expect("writable");
            let config = ContainerizerConfig::new(work_dir, "/x".into(), agent.to_owned());
            instance_name(&config).expect("the directory exists")
        };
        let first = name("agent-1", "a");
        assert!(first.starts_with("agent-1-") && first.len() == 16, "{first}");
        assert_eq!(first, name("agent-2", "a"), "it keeps its first name");
        assert_ne!(first, name("agent-1", "b"));
        assert!(name("../x y", "c").starts_with("---x-y-"));
        std::fs::copy(dir.path().join("a").join(INSTANCE_FILE), dir.path().join("copied"))
            .expect("writable");
        std::fs::create_dir(dir.path().join("d")).expect("writable");
        std::fs::rename(dir.path().join("copied"), dir.path().join("d").join(INSTANCE_FILE))
            .expect("writable");
        assert_ne!(first, name("agent-1", "d"), "a copy is another agent's");
        assert_eq!(digest(b""), 0x811c_9dc5);
        assert_eq!(digest(b"a"), 0xe40c_292c);
    }

    #[test]
    fn an_unknown_user_is_told_to_the_one_who_asked_for_it() {
        let mut users = Users { is_root: true, known: HashMap::new() };
        assert_eq!(users.switch_to(None), Ok(None));
        assert_eq!(users.switch_to(Some("root")), Ok(None));
        let refused = users.switch_to(Some("no-such-user-here"));
        assert_eq!(refused, Err("no such user: no-such-user-here".to_owned()));
        users.is_root = false;
        assert_eq!(users.switch_to(Some("no-such-user-here")), Ok(None));
    }
}
