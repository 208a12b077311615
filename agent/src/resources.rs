//! What this host has, as far as the operator doesn't say: CPUs, memory, disk, ports.
//!
//! A part is left to the host itself, by Mesos's rules: half of what is little, a fixed amount of
//! what is much.

use std::{fs, path::Path, thread};

use meros_proto::resources::{Name, Ranges, Resource, Resources, Scalar};

/// Offered when the host doesn't tell.
const CPUS_UNKNOWN: u64 = 1;
const MEM_UNKNOWN_MIB: u64 = 1024;
const DISK_UNKNOWN_MIB: u64 = 10 * 1024;

/// Left to the host, once it has twice as much.
const MEM_KEPT_MIB: u64 = 1024;
const DISK_KEPT_MIB: u64 = 5 * 1024;

/// The ports that tasks are given, unless the operator says otherwise.
const PORTS: (u64, u64) = (31_000, 32_000);

/// Measures the host. The disk is that of the file system that holds `work_dir`.
pub fn detect(work_dir: &Path) -> Resources {
    // What this process may use: an agent in a container doesn't offer its host's CPUs.
    let cpus = thread::available_parallelism().map_or(CPUS_UNKNOWN, |cpus| cpus.get() as u64);
    let mem = fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_total_mib(&text));
    let disk = rustix::fs::statvfs(work_dir)
        .ok()
        .map(|file_system| {
            (u128::from(file_system.f_blocks) * u128::from(file_system.f_frsize)) >> 20
        })
        .and_then(|mib| u64::try_from(mib).ok());
    let ports = Ranges::from_pairs([PORTS]).expect("begins before it ends");
    [
        amount(Name::Cpus, cpus),
        amount(Name::Mem, mem.map_or(MEM_UNKNOWN_MIB, |mib| offered(mib, MEM_KEPT_MIB))),
        amount(Name::Disk, disk.map_or(DISK_UNKNOWN_MIB, |mib| offered(mib, DISK_KEPT_MIB))),
        Resource::ranges(Name::Ports, ports),
    ]
    .into_iter()
    .collect()
}

fn amount(name: Name, amount: u64) -> Resource {
    // What no host has is offered as much as can be said.
    let thousandths = i64::try_from(amount).unwrap_or(i64::MAX).saturating_mul(1000);
    Resource::scalar(name, Scalar::from_millis(thousandths).min(Scalar::MAX))
}

/// What is offered of `total`, where `kept` is left to the host unless that is more than half.
fn offered(total: u64, kept: u64) -> u64 {
    if total >= 2 * kept { total - kept } else { total / 2 }
}

/// `MemTotal:       24576000 kB`.
fn mem_total_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_little_and_a_fixed_amount_of_what_is_much_stays_with_the_host() {
        for (total, kept, expected) in [
            (0, 1024, 0),
            (1024, 1024, 512),
            (2047, 1024, 1023),
            (2048, 1024, 1024),
            (16_384, 1024, 15_360),
            (10_239, 5_120, 5_119),
            (10_240, 5_120, 5_120),
        ] {
            assert_eq!(offered(total, kept), expected, "{total}");
        }
    }

    #[test]
    fn the_total_is_read_out_of_meminfo() {
        let text = "MemTotal:       24576000 kB\nMemFree:        1 kB\n";
        assert_eq!(mem_total_mib(text), Some(24_000));
        for text in ["", "MemTotal: x kB", "MemTotal: 5", "MemFree: 5 kB"] {
            assert_eq!(mem_total_mib(text), None, "{text}");
        }
    }

    #[test]
    fn this_host_has_all_four() {
        let found = detect(Path::new("/"));
        assert!(found.cpus() >= Scalar::from_millis(1000), "{found}");
        assert!(found.mem() > Scalar::ZERO && found.disk() > Scalar::ZERO, "{found}");
        assert_eq!(found.ports().len(), 1001);
        // A file system that can't be asked has the fallback.
        let nowhere = detect(Path::new("/nonexistent/x"));
        assert_eq!(nowhere.disk(), Scalar::from_millis(10 * 1024 * 1000));
    }
}
