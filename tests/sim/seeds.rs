//! Which seeds are run, and what is said of those that fail.

use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use crate::clock::Time;
use crate::counts::Counts;
use crate::invariants::Broken;
use crate::world::{Setting, World};

/// Seeds that failed once: they always run.
const KEPT: &str = include_str!("seeds.txt");

/// One run of a seed.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) outcome: Result<(), Broken>,
    pub(crate) hash: u64,
    pub(crate) lines: u64,
    pub(crate) virtual_time: Time,
    pub(crate) counts: Counts,
}

/// Runs a seed.
pub(crate) fn run(setting: Setting) -> Run {
    let mut world = World::new(setting);
    let ran = panic::catch_unwind(AssertUnwindSafe(|| world.run()));
    let outcome = ran.unwrap_or_else(|_| {
        // What it says was printed where it happened.
        Err(Broken { invariant: "no core panics", how: "one did".to_owned() })
    });
    if setting.shown && outcome.is_err() {
        world.show();
    }
    Run {
        outcome,
        hash: world.kernel.trace.hash(),
        lines: world.kernel.trace.lines(),
        virtual_time: world.kernel.now(),
        counts: world.kernel.counts,
    }
}

/// A seed as it is usually run.
pub(crate) fn usual(seed: u64) -> Setting {
    let shown = std::env::var("MEROS_SIM_TRACE").is_ok_and(|value| value != "0");
    Setting { seed, shown, look_every: 24 }
}

/// Those of `MEROS_SIM_SEED_START` and `MEROS_SIM_SEEDS`, or a few.
pub(crate) fn chosen() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let usually = if cfg!(debug_assertions) { 20 } else { 200 };
    let start = number("MEROS_SIM_SEED_START").unwrap_or(0);
    start..start + number("MEROS_SIM_SEEDS").unwrap_or(usually)
}

/// Those that failed once.
pub(crate) fn kept() -> Vec<u64> {
    let numbers = KEPT.lines().filter_map(|line| line.split('#').next());
    numbers.filter_map(|number| number.trim().parse().ok()).collect()
}

/// Runs all of `seeds`; all failures are told, one line each.
pub(crate) fn run_all(seeds: impl IntoIterator<Item = u64>) -> Total {
    let mut total = Total::default();
    let began = Instant::now();
    for seed in seeds {
        let run = run(usual(seed));
        total.seeds += 1;
        total.virtual_time += run.virtual_time.since(Time(0));
        total.counts.absorb(&run.counts);
        total.lines += run.lines;
        if let Err(Broken { invariant, how }) = run.outcome {
            println!(
                "seed {seed} at {}: {invariant}: {how}\n    replay: MEROS_SIM_SEED_START={seed} \
                 MEROS_SIM_SEEDS=1 cargo test --release --test sim",
                run.virtual_time
            );
            total.failed.push(seed);
        }
    }
    total.wall = began.elapsed();
    total
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub(crate) struct Total {
    pub(crate) seeds: u64,
    pub(crate) failed: Vec<u64>,
    pub(crate) virtual_time: Duration,
    pub(crate) wall: Duration,
    pub(crate) counts: Counts,
    lines: u64,
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hours = self.virtual_time.as_secs_f64() / 3_600.0;
        let wall = self.wall.as_secs_f64();
        write!(f, "{} seeds, {hours:.1} virtual hours, {wall:.1} s", self.seeds)?;
        let each = 1_000.0 * wall / self.seeds.max(1) as f64;
        writeln!(f, ", {each:.1} ms a seed, {} messages", self.lines)?;
        self.counts.fmt(f)
    }
}
