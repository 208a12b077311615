//! What the machine says of itself and of processes, by /proc.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::{Instant, sleep};

/// How long the machine is looked at to say how idle it is.
const LOOK: Duration = Duration::from_secs(1);
/// A machine that isn't quiet by then won't be.
const QUIET_WITHIN: Duration = Duration::from_secs(300);

/// The share of CPU time that nobody wanted, over a second.
pub(crate) async fn idle_share() -> anyhow::Result<f64> {
    let before = cpu_times()?;
    sleep(LOOK).await;
    let after = cpu_times()?;
    let (idle, all) = (after.0 - before.0, after.1 - before.1);
    Ok(idle as f64 / all.max(1) as f64)
}

/// Waits until [`idle_share`] is at least `share`.
pub(crate) async fn wait_until_idle(share: f64) -> anyhow::Result<()> {
    let deadline = Instant::now() + QUIET_WITHIN;
    while idle_share().await? < share {
        ensure!(Instant::now() < deadline, "the machine did not get quiet");
    }
    Ok(())
}

/// Idle and total, in ticks of all CPUs.
fn cpu_times() -> anyhow::Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|t| t.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are in user already.
    let idle = ticks.get(3).context("no idle time in /proc/stat")? + ticks.get(4).unwrap_or(&0);
    Ok((idle, ticks.iter().take(8).sum()))
}

/// CPU time that a process has used, its ended threads included.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).context("read a process's stat")?;
    // The name, in parentheses, may hold spaces.
    let (_, rest) = text.rsplit_once(')').context("a stat without a name")?;
    let field = |index: usize| rest.split_whitespace().nth(index)?.parse::<u64>().ok();
    let ticks = field(11).zip(field(12)).context("a stat without times")?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64((ticks.0 + ticks.1) as f64 / per_second as f64))
}

/// Bytes of memory that are a process's alone.
pub(crate) fn private_bytes(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .context("read a process's smaps_rollup")?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let (clean, dirty) = (kib("Private_Clean:"), kib("Private_Dirty:"));
    Ok((clean.context("no Private_Clean")? + dirty.context("no Private_Dirty")?) << 10)
}

/// The process below `parent` whose first argument is `verb`.
pub(crate) fn child_called(parent: u32, verb: &str) -> Option<u32> {
    fs::read_dir("/proc").ok()?.filter_map(Result::ok).find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let ppid: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let first = line.split(|byte| *byte == 0).nth(1)?;
        (ppid == parent && first == verb.as_bytes()).then_some(pid)
    })
}

/// Each connection is a file: takes as many as the system allows.
pub(crate) fn raise_file_limit() {
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        eprintln!("could not raise the limit of open files: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory() {
        let own = std::process::id();
        assert!(private_bytes(own).expect("it is there") > 100_000);
        assert!(cpu_time(own).expect("it is there") < Duration::from_secs(3_600));
        assert_eq!(child_called(own, "nothing"), None);
    }

    #[tokio::test]
    async fn a_machine_is_idle_by_some_share() {
        let share = idle_share().await.expect("there is a /proc");
        assert!((0.0..=1.0).contains(&share), "{share}");
    }
}
