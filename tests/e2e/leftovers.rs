//! What a cluster may leave behind: processes, cgroups, mounts.
//!
//! Everything that a test starts names the test's folder: on its command line, in its environment
//! or as its working directory. So whatever still names it when the cluster has stopped was left.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A process.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) pid: i32,
    command: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.pid, self.command)
    }
}

/// The processes that name `dir`.
pub(crate) fn processes_of(dir: &Path) -> Vec<Found> {
    let name = dir.as_os_str().as_encoded_bytes();
    every_process(|process| {
        let in_text = |file: &str| {
            fs::read(process.join(file))
                .is_ok_and(|text| text.windows(name.len()).any(|w| w == name))
        };
        let works_there = fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
        works_there || in_text("cmdline") || in_text("environ")
    })
}

/// The processes of a task of Marathon's, whose ids nobody else uses.
pub(crate) fn processes_of_task(id: &str) -> Vec<Found> {
    with_variables(&[("MESOS_TASK_ID", id)])
}

/// The processes of a task of any framework.
pub(crate) fn processes_of_framework(framework: &str, task: &str) -> Vec<Found> {
    with_variables(&[("MESOS_FRAMEWORK_ID", framework), ("MESOS_EXECUTOR_ID", task)])
}

fn with_variables(variables: &[(&str, &str)]) -> Vec<Found> {
    let wanted: Vec<Vec<u8>> =
        variables.iter().map(|(name, value)| format!("{name}={value}").into_bytes()).collect();
    every_process(|process| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        let entries: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
        wanted.iter().all(|entry| entries.contains(&&entry[..]))
    })
}

fn every_process(wanted: impl Fn(&Path) -> bool) -> Vec<Found> {
    let entries = fs::read_dir("/proc").expect("a Linux host has /proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let own = i32::try_from(std::process::id()).expect("a pid is positive");
    pids.filter(|pid| *pid != own)
        .filter_map(|pid| {
            let process = PathBuf::from(format!("/proc/{pid}"));
            let found = wanted(&process);
            let command = fs::read(process.join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
            found.then_some(Found { pid, command })
        })
        .collect()
}

/// The cgroups of the running agent that listens on this port. To be looked for before it stops:
/// afterwards the port may be another test's.
///
/// An agent that was killed in an earlier run may have left groups of that port: those with no
/// launcher in any hierarchy are not meant.
pub(crate) fn cgroups_of(port: u16) -> Vec<PathBuf> {
    let begins = format!("agent-{port}-");
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().filter_map(Result::ok);
    let hierarchies = hierarchies.map(|entry| entry.path()).chain([root.to_owned()]);
    let groups = hierarchies.flat_map(|hierarchy| fs::read_dir(hierarchy.join("meros"))).flatten();
    let mut groups: Vec<PathBuf> =
        groups.filter_map(Result::ok).map(|group| group.path()).collect();
    groups.retain(|group| name(group).starts_with(&begins));
    let has_launcher = |group: &PathBuf| {
        let inside = fs::read_to_string(group.join("launcher/cgroup.procs"));
        inside.is_ok_and(|processes| !processes.is_empty())
    };
    let live: Vec<String> = groups.iter().filter(|group| has_launcher(group)).map(name).collect();
    groups.retain(|group| live.contains(&name(group)));
    groups
}

fn name(group: impl AsRef<Path>) -> String {
    group.as_ref().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is mounted below `dir`.
pub(crate) fn mounts_in(dir: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("a Linux host has /proc");
    let dir = dir.display().to_string();
    mounts.lines().filter(|mount| mount.contains(&dir)).map(str::to_owned).collect()
}
