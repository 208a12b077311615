//! Finds the processes that descend from one, where no cgroup holds them together.
//!
//! The launcher is a subreaper: whoever loses its parent becomes a child of the launcher, of its
//! first thread, which itself never starts anything. So the children of that thread are exactly
//! the strays, and each can be told whose it is: by the session or process group it is in still,
//! else by a variable that only its task's environment has.

use std::{fs, io::Read};

/// The state in `/proc/PID/stat` of a process that ended and is not collected.
const ENDED: &str = "Z";

/// The children of the calling process's first thread: those that lost their own parent.
pub(crate) fn orphans() -> Vec<i32> {
    let own = std::process::id();
    numbers(&format!("/proc/self/task/{own}/children"))
}

/// All processes of the host.
pub(crate) fn everyone() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Those of `orphans` that belong to the task of `main`, with all that descends from them. `None`
/// when that number is another's by now.
pub(crate) fn strays(main: Option<i32>, marker: &[u8], orphans: &[i32]) -> Vec<i32> {
    let in_session = |pid| main.is_some_and(|main| belongs_to_session(pid, main));
    let mut found: Vec<i32> =
        orphans.iter().copied().filter(|pid| in_session(*pid) || is_marked(*pid, marker)).collect();
    add_descendants(&mut found);
    found
}

/// `root` and all that descends from it.
pub(crate) fn descendants(root: i32) -> Vec<i32> {
    let mut found = vec![root];
    add_descendants(&mut found);
    found
}

/// Every process of the host whose environment has a variable that begins so, and the rest of it.
pub(crate) fn marked(beginning: &[u8]) -> Vec<(i32, Vec<u8>)> {
    let rest_of = |pid: i32| {
        let env = environment(pid)?;
        let mut variables = env.split(|byte| *byte == 0);
        variables.find_map(|variable| variable.strip_prefix(beginning)).map(<[u8]>::to_vec)
    };
    everyone().into_iter().filter_map(|pid| Some((pid, rest_of(pid)?))).collect()
}

/// Whether a process leads a session, as main processes do; and has not ended.
pub(crate) fn leads_session(pid: i32) -> bool {
    let Some(fields) = stat_fields(pid) else { return false };
    fields.first().is_some_and(|state| state != ENDED)
        && fields.get(3).is_some_and(|session| session.parse() == Ok(pid))
}

/// When a process was started, in ticks since boot: with its number, that names it for good.
pub(crate) fn started_at(pid: i32) -> Option<u64> {
    stat_fields(pid)?.get(19)?.parse().ok()
}

fn add_descendants(found: &mut Vec<i32>) {
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        next += 1;
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.filter_map(Result::ok) {
            for child in numbers(&format!("{}/children", thread.path().display())) {
                // It may have moved while we looked.
                if !found.contains(&child) {
                    found.push(child);
                }
            }
        }
    }
}

fn numbers(file: &str) -> Vec<i32> {
    let listed = fs::read_to_string(file).unwrap_or_default();
    listed.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect()
}

fn belongs_to_session(pid: i32, main: i32) -> bool {
    let Some(fields) = stat_fields(pid) else { return false };
    // After the name: state, ppid, pgrp, session. Who ended is gone once he is collected.
    fields.first().is_some_and(|state| state != ENDED)
        && fields.iter().skip(2).take(2).any(|id| id.parse() == Ok(main))
}

/// The fields of `/proc/PID/stat` after the name, which may hold anything, spaces included.
pub(super) fn stat_fields(pid: i32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    Some(after.split_ascii_whitespace().map(str::to_owned).collect())
}

fn is_marked(pid: i32, marker: &[u8]) -> bool {
    let has = |env: Vec<u8>| env.split(|byte| *byte == 0).any(|variable| variable == marker);
    !marker.is_empty() && environment(pid).is_some_and(has)
}

fn environment(pid: i32) -> Option<Vec<u8>> {
    let mut env = Vec::new();
    let file = fs::File::open(format!("/proc/{pid}/environ")).ok()?;
    file.take(4 << 20).read_to_end(&mut env).ok()?;
    Some(env)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn descendants_are_found_over_generations() {
        let mut child = Command::new("sh")
            .args(["-c", "sh -c 'sleep 30 & echo; wait' & read x; kill -9 $!; exit 0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        // The line says that the grandchild's child exists.
        let mut line = [0; 1];
        child.stdout.take().expect("piped").read_exact(&mut line).expect("a line");
        let own = i32::try_from(child.id()).expect("a pid");
        let found = descendants(own);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], own);
        for pid in &found[1..] {
            let pid = rustix::process::Pid::from_raw(*pid).expect("not 0");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        drop(child.stdin.take());
        child.wait().expect("it ends");
    }

    #[test]
    fn a_process_is_known_by_its_environment_and_by_its_start() {
        let mut child = Command::new("sh")
            .args(["-c", "echo; exec sleep 30"])
            .env("MEROS_TREE_TEST", "one/two")
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let pid = i32::try_from(child.id()).expect("a pid");
        // Only once it runs is its environment to be seen for sure; and it may execute again.
        child.stdout.take().expect("piped").read_exact(&mut [0]).expect("a line");
        while fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name != "sleep\n")
            || environment(pid).is_none_or(|env| env.is_empty())
        {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(marked(b"MEROS_TREE_TEST=one/"), [(pid, b"two".to_vec())]);
        assert!(is_marked(pid, b"MEROS_TREE_TEST=one/two"));
        assert!(!is_marked(pid, b"MEROS_TREE_TEST=one/"));
        assert!(!is_marked(pid, b""));
        assert!(started_at(pid) >= started_at(1));
        assert!(everyone().contains(&pid) && !leads_session(pid));
        child.kill().expect("ours");
        child.wait().expect("it ends");
    }
}
