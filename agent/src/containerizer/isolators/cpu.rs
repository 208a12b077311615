//! CPUs: a share when CPUs are scarce, and a ceiling where the agent is told to set one.

use super::hierarchy::{Hierarchy, Version};

/// Shares of one CPU, in Mesos as in every v1 system.
const SHARES_PER_CPU: f64 = 1024.0;
/// What the kernel takes at least and at most.
const SHARES_MIN: u64 = 2;
const SHARES_MAX: u64 = 262_144;
/// Over this long a quota is counted, in microseconds (Mesos: 100 ms).
const PERIOD_US: u64 = 100_000;
/// The least quota that the kernel takes.
const QUOTA_MIN_US: u64 = 1_000;

/// What to write for so many CPUs: file name, contents.
pub(super) fn settings(
    hierarchy: &Hierarchy,
    cpus: f64,
    quota: bool,
) -> Vec<(&'static str, String)> {
    let shares = shares(cpus);
    let quota_us = ((cpus * PERIOD_US as f64).round() as u64).max(QUOTA_MIN_US);
    match hierarchy.version {
        Version::V1 => {
            let mut settings = vec![("cpu.shares", shares.to_string())];
            if quota {
                settings.push(("cpu.cfs_period_us", PERIOD_US.to_string()));
                settings.push(("cpu.cfs_quota_us", quota_us.to_string()));
            }
            settings
        }
        Version::V2 => {
            let mut settings = vec![("cpu.weight", weight(shares).to_string())];
            if quota {
                settings.push(("cpu.max", format!("{quota_us} {PERIOD_US}")));
            }
            settings
        }
    }
}

/// Saturates: what no host has is as much as the kernel can say.
fn shares(cpus: f64) -> u64 {
    ((cpus * SHARES_PER_CPU).round() as u64).clamp(SHARES_MIN, SHARES_MAX)
}

/// The v2 weight, 1 to 10000, that stands in the same place of its range as the shares in theirs.
fn weight(shares: u64) -> u64 {
    1 + (shares - SHARES_MIN) * 9_999 / (SHARES_MAX - SHARES_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(version: Version, cpus: f64, quota: bool) -> Vec<(&'static str, String)> {
        settings(&Hierarchy { version, mount: "/c".into() }, cpus, quota)
    }

    #[test]
    fn a_cpu_is_1024_shares_and_the_same_part_of_a_weight() {
        for (cpus, shares, weight) in [
            (1.0, "1024", "39"),
            (0.1, "102", "4"),
            (0.0, "2", "1"),
            (0.001, "2", "1"),
            (4.0, "4096", "157"),
            (1e9, "262144", "10000"),
        ] {
            assert_eq!(set(Version::V1, cpus, false), [("cpu.shares", shares.to_owned())]);
            assert_eq!(set(Version::V2, cpus, false), [("cpu.weight", weight.to_owned())]);
        }
    }

    #[test]
    fn a_quota_is_set_only_when_asked_for() {
        assert_eq!(
            set(Version::V1, 0.5, true)[1..],
            [("cpu.cfs_period_us", "100000".to_owned()), ("cpu.cfs_quota_us", "50000".to_owned()),]
        );
        assert_eq!(set(Version::V2, 1.5, true)[1], ("cpu.max", "150000 100000".to_owned()));
        assert_eq!(set(Version::V2, 0.001, true)[1], ("cpu.max", "1000 100000".to_owned()));
    }
}
