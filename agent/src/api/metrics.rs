//! What the agent counts, under the names that Mesos's tools look for.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use meros_agent_core::input::Room;
use meros_agent_core::view::View;
use meros_proto::resources::Resources;
use meros_proto::v1::TaskState;
use meros_shell::clock::Clock;

use crate::host::Host;

/// Names and values.
pub(super) fn snapshot(host: &Host, view: &View) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    let mut set = |name: &str, value: f64| {
        all.insert(name.to_owned(), value);
    };
    let now = Clock::start().now().wall;
    set("slave/uptime_secs", now.as_secs_f64() - host.started.as_secs_f64());
    set("slave/registered", f64::from(u8::from(view.master.is_some())));
    set("slave/recovery_errors", 0.0);

    let full = view.room == Room::Reserve;
    set("slave/log_disk_full", f64::from(u8::from(full)));

    let in_state = |state| view.tasks.iter().filter(|task| task.state == state).count() as f64;
    set("slave/tasks_staging", in_state(TaskState::TaskStaging));
    set("slave/tasks_starting", in_state(TaskState::TaskStarting));
    set("slave/tasks_running", in_state(TaskState::TaskRunning));
    set("slave/tasks_killing", in_state(TaskState::TaskKilling));
    let counters = &view.counters;
    for (name, count) in [
        ("slave/tasks_finished", counters.finished),
        ("slave/tasks_failed", counters.failed),
        ("slave/tasks_killed", counters.killed),
        ("slave/tasks_lost", counters.lost),
        ("slave/tasks_error", counters.error),
        ("slave/tasks_dropped", counters.dropped),
        ("slave/tasks_gone", counters.gone),
        ("slave/valid_status_updates", counters.updates),
        ("slave/invalid_status_updates", 0),
        ("slave/retried_status_updates", counters.retried_updates),
        ("slave/registrations", counters.registrations),
    ] {
        set(name, count as f64);
    }
    let mut active: Vec<_> = view.tasks.iter().map(|task| &task.spec.key.framework).collect();
    active.dedup();
    set("slave/frameworks_active", active.len() as f64);
    let launching = view.tasks.iter().filter(|task| task.launching).count();
    let running = view.tasks.iter().filter(|task| task.pid.is_some()).count();
    set("slave/executors_registering", launching as f64);
    set("slave/executors_running", running as f64);

    let used = view.used();
    type Amount = fn(&Resources) -> meros_proto::resources::Scalar;
    let amounts: [(&str, Amount); 4] = [
        ("cpus", Resources::cpus),
        ("mem", Resources::mem),
        ("disk", Resources::disk),
        ("gpus", Resources::gpus),
    ];
    for (name, amount) in amounts {
        let (total, used) = (amount(&host.resources).as_f64(), amount(&used).as_f64());
        set(&format!("slave/{name}_total"), total);
        set(&format!("slave/{name}_used"), used);
        set(&format!("slave/{name}_percent"), if total > 0.0 { used / total } else { 0.0 });
    }
    system(&mut set);
    all
}

/// The same for Prometheus: `slave/tasks_running` is `meros_agent_tasks_running`.
pub(super) fn prometheus(snapshot: &BTreeMap<String, f64>) -> String {
    let mut text = String::new();
    for (name, value) in snapshot {
        let name = match name.split_once('/') {
            Some(("slave", rest)) => format!("meros_agent_{rest}"),
            _ => format!("meros_{}", name.replace('/', "_")),
        };
        writeln!(text, "# TYPE {name} gauge\n{name} {value}")
            .expect("a string takes what is written");
    }
    text
}

/// What the kernel says of the host; what it doesn't say is left out.
fn system(set: &mut impl FnMut(&str, f64)) {
    if let Ok(cpus) = std::thread::available_parallelism() {
        set("system/cpus_total", cpus.get() as f64);
    }
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let names = ["system/load_1min", "system/load_5min", "system/load_15min"];
    for (name, load) in names.into_iter().zip(loads.split_whitespace()) {
        if let Ok(load) = load.parse() {
            set(name, load);
        }
    }
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    for line in memory.lines() {
        let name = match line.split_once(':') {
            Some(("MemTotal", _)) => "system/mem_total_bytes",
            Some(("MemFree", _)) => "system/mem_free_bytes",
            _ => continue,
        };
        if let Some(Ok(kilobytes)) = line.split_whitespace().nth(1).map(str::parse::<f64>) {
            set(name, kilobytes * 1024.0);
        }
    }
}
