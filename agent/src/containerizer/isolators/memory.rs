//! Memory: a hard limit, and whether it was hit.

use super::hierarchy::{Hierarchy, Version};

/// No task gets less, as in Mesos: a shell hardly starts with less.
const LIMIT_MIN: u64 = 32 << 20;

/// What is read once a task ended, in this order.
const REPORTS_V1: [&str; 3] = ["memory.oom_control", "memory.max_usage_in_bytes", "memory.failcnt"];
const REPORTS_V2: [&str; 2] = ["memory.events", "memory.peak"];

/// What the kernel counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    /// Processes were killed for memory.
    pub(super) oom: bool,
    /// The most that was used at once.
    pub(super) peak_bytes: Option<u64>,
}

/// What to write for so much memory: file name, contents.
pub(super) fn settings(hierarchy: &Hierarchy, bytes: u64) -> Vec<(&'static str, String)> {
    let limit = bytes.max(LIMIT_MIN).to_string();
    match hierarchy.version {
        Version::V1 => vec![("memory.limit_in_bytes", limit)],
        // The whole task goes when one of its processes has to. In v1 the launcher sees to it.
        Version::V2 => vec![("memory.max", limit), ("memory.oom.group", "1".to_owned())],
    }
}

/// The files to be read once the task ended.
pub(super) fn reports(hierarchy: &Hierarchy) -> &'static [&'static str] {
    match hierarchy.version {
        Version::V1 => &REPORTS_V1,
        Version::V2 => &REPORTS_V2,
    }
}

/// What those files say. `killed`: the main process ended by SIGKILL, which counts where the kernel
/// doesn't say how often it killed (before 4.13).
pub(super) fn counts(hierarchy: &Hierarchy, reports: &[Vec<u8>], killed: bool) -> Counts {
    let text = |index: usize| {
        reports.get(index).map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default()
    };
    let number = |index| text(index).trim().parse::<u64>().ok();
    let kills = value_of(&text(0), "oom_kill");
    let oom = match (kills, hierarchy.version) {
        (Some(kills), _) => kills > 0,
        (None, Version::V1) => killed && number(2).is_some_and(|failures| failures > 0),
        (None, Version::V2) => false,
    };
    Counts { oom, peak_bytes: number(1) }
}

/// The number after a word at the beginning of a line.
fn value_of(text: &str, word: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy(version: Version) -> Hierarchy {
        Hierarchy { version, mount: "/m".into() }
    }

    #[test]
    fn a_limit_is_never_below_what_a_task_needs_to_start() {
        let set = |version, bytes| settings(&hierarchy(version), bytes);
        let limit = |bytes: u64| ("memory.limit_in_bytes", bytes.to_string());
        assert_eq!(set(Version::V1, 64 << 20), [limit(64 << 20)]);
        assert_eq!(set(Version::V1, 1), [limit(32 << 20)]);
        assert_eq!(set(Version::V2, 64 << 20)[0], ("memory.max", (64_u64 << 20).to_string()));
    }

    #[test]
    fn only_a_kill_for_memory_counts_as_one() {
        let v1 = "oom_kill_disable 0\nunder_oom 0\n";
        let v2 = "low 0\nhigh 0\nmax 12\noom 1\n";
        for (version, events, failures, killed, oom) in [
            (Version::V1, format!("{v1}oom_kill 1\n"), "7\n", true, true),
            (Version::V1, format!("{v1}oom_kill 1\n"), "7\n", false, true),
            // Reclaim hit the limit, which is no harm.
            (Version::V1, format!("{v1}oom_kill 0\n"), "7\n", true, false),
            (Version::V1, v1.to_owned(), "7\n", true, true),
            (Version::V1, v1.to_owned(), "7\n", false, false),
            (Version::V1, v1.to_owned(), "0\n", true, false),
            (Version::V1, String::new(), "", true, false),
            (Version::V2, format!("{v2}oom_kill 2\noom_group_kill 1\n"), "", true, true),
            (Version::V2, format!("{v2}oom_kill 0\n"), "", true, false),
            (Version::V2, String::new(), "", true, false),
        ] {
            let reports = [events.clone().into_bytes(), b"4096\n".to_vec(), failures.into()];
            let counts = counts(&hierarchy(version), &reports, killed);
            assert_eq!(counts, Counts { oom, peak_bytes: Some(4096) }, "{version:?} {events}");
        }
        assert_eq!(counts(&hierarchy(Version::V2), &[], true), Counts::default());
    }
}
