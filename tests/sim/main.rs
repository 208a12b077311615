//! The whole cluster in one thread, under a clock that only the test turns, from one seed.
//!
//! The cores are the real ones: master, agents, Marathon, the SDK's driver. Around them is a world
//! that is out to break them: processes are killed, paused and restarted, links cut, blocked and
//! slowed down, disks lose what was not synced, clocks differ and jump. What must hold is checked at
//! every step ([`invariants`]), by somebody who sees everything; and once nothing goes wrong any
//! more, all has to come to rest within bounded time.
//!
//! Start at [`world`]. A process is a core and what its shell does ([`processes`]), a run is a
//! number ([`seeds`]): a failure prints the line that replays it, and with `MEROS_SIM_TRACE=1` what
//! happened.

mod world;

mod faults;
mod users;

mod invariants;
mod processes;
mod wire;

mod clock;
mod counts;
mod disk;
mod kernel;
mod network;
mod schedule;
mod trace;

mod scenarios;
mod seeds;

#[test]
fn no_history_breaks_an_invariant_and_every_one_comes_to_rest() {
    let total = seeds::run_all(seeds::chosen());
    println!("{total}");
    assert!(total.failed.is_empty(), "seeds that failed: {:?}", total.failed);
    if total.seeds >= 200 {
        assert_eq!(
            total.counts.missing(),
            [""; 0],
            "what should happen somewhere in so many seeds"
        );
    }
}

#[test]
fn what_failed_once_does_so_no_more() {
    let total = seeds::run_all(seeds::kept());
    assert!(total.failed.is_empty(), "seeds that failed: {:?}", total.failed);
}

#[test]
fn two_runs_of_a_seed_are_alike() {
    for seed in [1, 77, 1_234] {
        let (first, second) = (seeds::run(seeds::usual(seed)), seeds::run(seeds::usual(seed)));
        assert_eq!(first.hash, second.hash, "seed {seed}: the traces differ");
        assert!(first.lines > 100, "seed {seed}: something happened");
    }
}
