//! Puts the isolators of this host together: what a task gets of them, and what they counted.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{
    cpu,
    hierarchy::{self, Hierarchy, Mount, Version},
    memory, sweep,
};
use crate::{
    containerizer::{Limits, WaitStatus},
    launcher::{cgroups, event_loop::LAUNCHER_GROUP, wire::Group},
};

/// What this host can isolate.
#[derive(Debug)]
pub(crate) struct Isolators {
    instance: String,
    quota: bool,
    /// Holds a task's processes together.
    tracking: Option<Hierarchy>,
    cpu: Option<Hierarchy>,
    memory: Option<Hierarchy>,
    /// The mount points in which the launcher, and each task that needs it, has a group.
    mounts: Vec<PathBuf>,
    notices: Vec<String>,
}

/// What one task is fenced in with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fence {
    /// The first holds its processes together.
    pub(crate) groups: Vec<Group>,
    /// The files that [`Isolators::judge`] wants to know the contents of.
    pub(crate) reports: Vec<Vec<u8>>,
    /// The v1 memory cgroup to be watched.
    pub(crate) oom_watch: Option<Vec<u8>>,
}

/// What is left of a task's fence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Remains {
    /// The first holds its processes together, if it has any.
    pub(crate) groups: Vec<PathBuf>,
    /// The files that [`Isolators::judge`] wants to know the contents of.
    pub(crate) reports: Vec<PathBuf>,
}

/// What the isolators say of a task that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Verdict {
    pub(crate) oom: bool,
    pub(crate) mem_peak_bytes: Option<u64>,
}

impl Isolators {
    /// Looks at the host, and makes the agent's own groups where it can. Blocks.
    ///
    /// `wanted`: whether cgroups are to be used at all. `quota`: whether CPUs are a ceiling too.
    pub(crate) fn detect(instance: String, wanted: bool, quota: bool) -> Self {
        let mut found = Self::none(instance, quota);
        if !rustix::process::geteuid().is_root() {
            found.notices.push(
                "not running as root: tasks are not limited in CPU and memory, and run as this \
                 user whatever user they ask for"
                    .to_owned(),
            );
        } else if !wanted {
            found
                .notices
                .push("cgroups are off: tasks are not limited in CPU and memory".to_owned());
        } else {
            let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            found.use_mounts(&hierarchy::mounts(&mountinfo));
        }
        found
    }

    fn none(instance: String, quota: bool) -> Self {
        Self {
            instance,
            quota,
            tracking: None,
            cpu: None,
            memory: None,
            mounts: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn use_mounts(&mut self, mounts: &[Mount]) {
        match hierarchy::tracking(mounts, &self.instance) {
            Ok(tracking) => self.tracking = Some(tracking),
            Err(why) => {
                self.notices.push(format!(
                    "{why}: tasks are not limited in CPU and memory, and their processes are \
                     found by parent and session only"
                ));
                return;
            }
        }
        match hierarchy::controller(mounts, "cpu", &self.instance) {
            Ok(cpu) => self.cpu = Some(cpu),
            Err(why) => self.notices.push(format!("{why}: tasks are not limited in CPU")),
        }
        match hierarchy::controller(mounts, "memory", &self.instance) {
            Ok(memory) => self.memory = Some(memory),
            Err(why) => self.notices.push(format!("{why}: tasks are not limited in memory")),
        }
        let used = [&self.tracking, &self.cpu, &self.memory].into_iter().flatten();
        let used = used.map(|hierarchy| hierarchy.mount.clone());
        for mount in used.chain(hierarchy::service_manager(mounts)) {
            if !self.mounts.contains(&mount) {
                self.mounts.push(mount);
            }
        }
    }

    /// One line for each thing that can't be isolated.
    pub(crate) fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Where the launcher is to have a group of its own.
    pub(crate) fn mounts(&self) -> &[PathBuf] {
        &self.mounts
    }

    /// Lays out what a task is fenced in with. Nothing is made yet.
    ///
    /// A container nested in a task's has groups below the task's, which limit both together; its
    /// limits are those of the task.
    pub(crate) fn fence(&self, container: &str, limits: &Limits) -> Fence {
        let mut fence = self.own_fence(container, limits);
        if container.contains('.') {
            fence.groups.iter_mut().for_each(|group| group.settings.clear());
            fence = Fence { groups: fence.groups, ..Fence::default() };
        }
        fence
    }

    fn own_fence(&self, container: &str, limits: &Limits) -> Fence {
        let mut fence = Fence::default();
        let Some(tracking) = &self.tracking else { return fence };
        fence.add(&self.group_dir(tracking, container), Vec::new());
        if let (Some(cpu), Some(cpus)) = (&self.cpu, limits.cpus) {
            let settings = cpu::settings(cpu, cpus, self.quota);
            fence.add(&self.group_dir(cpu, container), settings);
        }
        if let (Some(memory), Some(bytes)) = (&self.memory, limits.mem_bytes) {
            let dir = self.group_dir(memory, container);
            fence.add(&dir, memory::settings(memory, bytes));
            for file in memory::reports(memory) {
                fence.reports.push(bytes_of(&dir.join(file)));
            }
            fence.oom_watch = (memory.version == Version::V1).then(|| bytes_of(&dir));
        }
        fence
    }

    /// What the files of [`Fence::reports`] say.
    pub(crate) fn judge(&self, status: WaitStatus, reports: &[Vec<u8>]) -> Verdict {
        match &self.memory {
            Some(memory) if !reports.is_empty() => {
                let killed = status == WaitStatus::Signaled(9);
                let memory::Counts { oom, peak_bytes } = memory::counts(memory, reports, killed);
                Verdict { oom, mem_peak_bytes: peak_bytes }
            }
            _ => Verdict::default(),
        }
    }

    /// Ends every process and removes every group that this instance has left, whoever made them.
    /// Blocks until they are gone.
    ///
    /// `mark` is how the environment of each of its tasks' processes begins a variable.
    pub(crate) fn sweep(&self, mark: &[u8]) {
        sweep::sweep(&self.mounts, &self.instance, mark, &|_| false);
        sweep::remove_instance(&self.mounts, &self.instance);
    }

    /// The same, but for the launcher itself and the tasks that `is_kept` names.
    pub(crate) fn sweep_others(&self, mark: &[u8], is_kept: impl Fn(&str) -> bool) {
        let is_kept = |name: &[u8]| {
            name == LAUNCHER_GROUP.as_bytes() || std::str::from_utf8(name).is_ok_and(&is_kept)
        };
        sweep::sweep(&self.mounts, &self.instance, mark, &is_kept);
    }

    /// Removes the groups that hold the others, where they hold none.
    pub(crate) fn withdraw(&self) {
        for mount in &self.mounts {
            let launcher = cgroups::instance_dir(mount, &self.instance).join(LAUNCHER_GROUP);
            // Not while a launcher is in it.
            let _ = fs::remove_dir(launcher);
        }
        sweep::remove_instance(&self.mounts, &self.instance);
    }

    /// The tasks that have a group, with the processes in it.
    pub(crate) fn tracked(&self) -> Vec<(String, Vec<i32>)> {
        let Some(tracking) = &self.tracking else { return Vec::new() };
        let dir = cgroups::instance_dir(&tracking.mount, &self.instance);
        let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
        let groups = entries.filter_map(Result::ok).filter(|entry| {
            entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name() != LAUNCHER_GROUP
        });
        let with_processes = groups.filter_map(|group| {
            let found = cgroups::processes(&group.path()).unwrap_or_default();
            let pids = found.into_iter().map(|pid| pid.as_raw_nonzero().get()).collect();
            Some((group.file_name().into_string().ok()?, pids))
        });
        with_processes.collect()
    }

    /// What a task was fenced in with, as far as it is there: for one that others started.
    pub(crate) fn remains(&self, container: &str) -> Remains {
        let mut remains = Remains::default();
        for hierarchy in [&self.tracking, &self.cpu, &self.memory].into_iter().flatten() {
            let dir = self.group_dir(hierarchy, container);
            if dir.is_dir() && !remains.groups.contains(&dir) {
                remains.groups.push(dir);
            }
        }
        if let Some(memory) = &self.memory {
            let dir = self.group_dir(memory, container);
            if dir.is_dir() {
                remains.reports =
                    memory::reports(memory).iter().map(|file| dir.join(file)).collect();
            }
        }
        remains
    }

    fn group_dir(&self, hierarchy: &Hierarchy, container: &str) -> PathBuf {
        let dir = cgroups::instance_dir(&hierarchy.mount, &self.instance);
        container.split('.').fold(dir, |dir, name| dir.join(name))
    }
}

impl Fence {
    /// One group for each directory: in the v2 tree all controllers share one.
    fn add(&mut self, dir: &Path, settings: Vec<(&'static str, String)>) {
        let dir = bytes_of(dir);
        let settings = settings
            .into_iter()
            .map(|(file, contents)| (file.as_bytes().to_vec(), contents.into_bytes()));
        match self.groups.iter_mut().find(|group| group.dir == dir) {
            Some(group) => group.settings.extend(settings),
            None => self.groups.push(Group { dir, settings: settings.collect() }),
        }
    }
}

fn bytes_of(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isolators(tracking: &str, cpu: (Version, &str), memory: (Version, &str)) -> Isolators {
        let at =
            |(version, mount): (Version, &str)| Some(Hierarchy { version, mount: mount.into() });
        Isolators {
            tracking: at((Version::V2, tracking)),
            cpu: at(cpu),
            memory: at(memory),
            ..Isolators::none("a-1".to_owned(), false)
        }
    }

    fn dirs(fence: &Fence) -> Vec<String> {
        fence.groups.iter().map(|g| String::from_utf8_lossy(&g.dir).into_owned()).collect()
    }

    const LIMITS: Limits = Limits { cpus: Some(1.0), mem_bytes: Some(64 << 20) };

    #[test]
    fn each_v1_controller_has_its_group_and_v2_one_for_all() {
        let v1 = isolators("/u", (Version::V1, "/cpu"), (Version::V1, "/mem"));
        let fence = v1.fence("c", &LIMITS);
        assert_eq!(dirs(&fence), ["/u/meros/a-1/c", "/cpu/meros/a-1/c", "/mem/meros/a-1/c"]);
        assert_eq!(fence.oom_watch.as_deref(), Some(b"/mem/meros/a-1/c".as_slice()));

        let v2 = isolators("/u", (Version::V2, "/u"), (Version::V2, "/u"));
        let fence = v2.fence("c", &LIMITS);
        assert_eq!(dirs(&fence), ["/u/meros/a-1/c"]);
        assert_eq!(fence.groups[0].settings.len(), 3);
        assert_eq!(fence.oom_watch, None);
    }

    #[test]
    fn what_is_left_of_a_task_is_found_by_its_groups() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mount = |name: &str| dir.path().join(name).display().to_string();
        let (unified, cpu, memory) = (mount("u"), mount("cpu"), mount("mem"));
        let host = isolators(&unified, (Version::V1, &cpu), (Version::V1, &memory));
        assert_eq!((host.tracked(), host.remains("c")), (Vec::new(), Remains::default()));
        for (mount, name) in [(&unified, "launcher"), (&unified, "c"), (&memory, "c")] {
            fs::create_dir_all(Path::new(mount).join("meros/a-1").join(name)).expect("writable");
        }
        fs::write(Path::new(&unified).join("meros/a-1/c/cgroup.procs"), "7\n9\n")
            .expect("writable");
        assert_eq!(host.tracked(), [("c".to_owned(), vec![7, 9])]);
        let remains = host.remains("c");
        assert_eq!(remains.groups, [&unified, &memory].map(|m| Path::new(m).join("meros/a-1/c")));
        assert_eq!(remains.reports.len(), 3);
        assert_eq!(host.remains("d"), Remains::default());
    }

    #[test]
    fn only_the_groups_that_a_task_asks_for_are_made() {
        let host = isolators("/u", (Version::V1, "/cpu"), (Version::V1, "/mem"));
        assert_eq!(dirs(&host.fence("c", &Limits::default())), ["/u/meros/a-1/c"]);
        let nested = host.fence("c.x", &LIMITS);
        assert_eq!(dirs(&nested), ["/u/meros/a-1/c/x", "/cpu/meros/a-1/c/x", "/mem/meros/a-1/c/x"]);
        assert!(nested.groups.iter().all(|group| group.settings.is_empty()));
        assert_eq!((nested.reports.len(), nested.oom_watch), (0, None), "they are the task's");
        let none = Isolators::none("a-1".to_owned(), false);
        assert_eq!((none.tracked(), none.remains("c")), (Vec::new(), Remains::default()));
        assert_eq!(none.fence("c", &LIMITS), Fence::default());
        assert_eq!(none.judge(WaitStatus::Signaled(9), &[]), Verdict::default());
    }
}
