//! The rate at which this machine starts and reaps a program, with nothing around it.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

/// As many as the figures of others were measured with.
const THREADS: usize = 2;

/// Starts and ends of `program` in a second, over `time`. Blocks.
///
/// The standard library starts programs by posix_spawn unless something is asked for that it lacks.
pub(crate) fn per_second(program: &str, time: Duration) -> anyhow::Result<f64> {
    let began = Instant::now();
    let counts: anyhow::Result<Vec<u64>> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| count(program, began + time))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    Ok(counts?.iter().sum::<u64>() as f64 / began.elapsed().as_secs_f64())
}

fn count(program: &str, until: Instant) -> anyhow::Result<u64> {
    let mut command = Command::new(program);
    command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let mut count = 0;
    while Instant::now() < until {
        command.status().with_context(|| format!("run {program}"))?;
        count += 1;
    }
    Ok(count)
}
