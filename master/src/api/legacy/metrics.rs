//! `/metrics/snapshot` and `/metrics`: the same numbers, flat for Mesos's tools and as text for
//! Prometheus.
//!
//! Tools look keys up by name and leave a metric out when one is missing: every key that Mesos has
//! is here as far as there is something to say, and zero where nothing of the kind can happen yet.

use std::collections::BTreeMap;
use std::fmt::Write;

use meros_master_core::Snapshot;
use meros_proto::resources::Resources;
use meros_proto::v1::TaskState;

use crate::api::legacy::system;
use crate::metrics::Counters;

/// The media type of Prometheus's text format.
pub(super) const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Numbers by key.
pub(crate) type Numbers = BTreeMap<String, f64>;

/// Keys of things that are not built or can't happen with one master. They are always zero.
const NOTHING_YET: [&str; 31] = [
    "master/event_queue_dispatches",
    "master/event_queue_http_requests",
    "master/event_queue_messages",
    "master/dropped_messages",
    "master/frameworks_waiting_for_reregistration",
    "master/messages_authenticate",
    "master/messages_deactivate_framework",
    "master/messages_decline_inverse_offers",
    "master/messages_operation_status_update",
    "master/messages_operation_status_update_acknowledgement",
    "master/messages_reconcile_operations",
    "master/messages_reregister_framework",
    "master/messages_reregister_slave",
    "master/messages_resource_request",
    "master/messages_unregister_framework",
    "master/messages_update_slave",
    "master/invalid_executor_to_framework_messages",
    "master/invalid_framework_to_executor_messages",
    "master/recovery_slave_removals",
    "master/slave_removals/reason_registered",
    "master/slave_shutdowns_canceled",
    "master/slave_shutdowns_completed",
    "master/slave_shutdowns_scheduled",
    "master/slave_unreachable_canceled",
    "allocator/event_queue_dispatches",
    "allocator/mesos/event_queue_dispatches",
    "allocator/mesos/allocation_run_ms",
    "allocator/mesos/allocation_run_latency_ms",
    "registrar/queued_operations",
    "registrar/state_fetch_ms",
    "registrar/state_store_ms",
];

/// All numbers of a master.
pub(crate) fn numbers(snapshot: &Snapshot, counters: &Counters) -> Numbers {
    let mut numbers: Numbers = NOTHING_YET.iter().map(|key| ((*key).to_owned(), 0.0)).collect();
    numbers.extend(counters.read().map(|(key, count)| (key.to_owned(), count as f64)));
    numbers.extend(system::numbers());
    numbers.extend(registrar());
    let mut put = |key: &str, value: f64| {
        numbers.insert(key.to_owned(), value);
    };
    put("master/elected", 1.0);
    let uptime = snapshot.taken.as_secs_f64() - snapshot.started.as_secs_f64();
    put("master/uptime_secs", uptime.max(0.0));
    agents(snapshot, &mut put);
    frameworks(snapshot, &mut put);
    tasks(snapshot, &mut put);
    happened(snapshot, &mut put);
    resources(snapshot, &mut put);
    roles(snapshot, &mut put);
    numbers
}

fn registrar() -> impl Iterator<Item = (String, f64)> {
    let percentiles = ["max", "min", "p50", "p90", "p95", "p99", "p999", "p9999", "count"];
    let stored = percentiles.map(|name| (format!("registrar/state_store_ms/{name}"), 0.0));
    let log = [("registrar/log/recovered", 1.0), ("registrar/log/ensemble_size", 1.0)];
    stored.into_iter().chain(log.map(|(key, value)| (key.to_owned(), value)))
}

fn agents(snapshot: &Snapshot, put: &mut impl FnMut(&str, f64)) {
    let agents = &snapshot.agents;
    let active = agents.iter().filter(|agent| agent.active).count();
    let connected = agents.iter().filter(|agent| agent.connected).count();
    put("master/slaves_active", active as f64);
    put("master/slaves_inactive", (agents.len() - active) as f64);
    put("master/slaves_connected", connected as f64);
    put("master/slaves_disconnected", (agents.len() - connected) as f64);
    put("master/slaves_unreachable", snapshot.unreachable_agents.len() as f64);
}

fn frameworks(snapshot: &Snapshot, put: &mut impl FnMut(&str, f64)) {
    let frameworks = &snapshot.frameworks;
    let active = frameworks.iter().filter(|framework| framework.active).count();
    let connected = frameworks.iter().filter(|framework| framework.connected).count();
    let offers: usize = frameworks.iter().map(|framework| framework.offers.len()).sum();
    put("master/frameworks_active", active as f64);
    put("master/frameworks_inactive", (frameworks.len() - active) as f64);
    put("master/frameworks_connected", connected as f64);
    put("master/frameworks_disconnected", (frameworks.len() - connected) as f64);
    put("master/outstanding_offers", offers as f64);
}

fn tasks(snapshot: &Snapshot, put: &mut impl FnMut(&str, f64)) {
    // One look at each task: there are many.
    let mut counts = BTreeMap::new();
    for task in snapshot.frameworks.iter().flat_map(|framework| framework.tasks.iter()) {
        *counts.entry(task.state as i32).or_insert(0_u64) += 1;
    }
    let in_state = |state: TaskState| counts.get(&(state as i32)).copied().unwrap_or(0) as f64;
    let unreachable: usize =
        snapshot.frameworks.iter().map(|framework| framework.unreachable_tasks.len()).sum();
    put("master/tasks_staging", in_state(TaskState::TaskStaging));
    put("master/tasks_starting", in_state(TaskState::TaskStarting));
    put("master/tasks_running", in_state(TaskState::TaskRunning));
    put("master/tasks_killing", in_state(TaskState::TaskKilling));
    put("master/tasks_unreachable", unreachable as f64);
}

fn happened(snapshot: &Snapshot, put: &mut impl FnMut(&str, f64)) {
    let (counters, calls) = (&snapshot.counters, &snapshot.counters.calls);
    for (key, count) in [
        ("tasks_finished", counters.tasks_finished),
        ("tasks_failed", counters.tasks_failed),
        ("tasks_killed", counters.tasks_killed),
        ("tasks_lost", counters.tasks_lost),
        ("tasks_error", counters.tasks_error),
        ("tasks_dropped", counters.tasks_dropped),
        ("tasks_gone", counters.tasks_gone),
        ("tasks_gone_by_operator", counters.tasks_gone_by_operator),
        ("messages_register_framework", calls.subscribe),
        ("messages_launch_tasks", calls.accept),
        ("messages_decline_offers", calls.decline),
        ("messages_revive_offers", calls.revive),
        ("messages_suppress_offers", calls.suppress),
        ("messages_kill_task", calls.kill),
        ("messages_status_update_acknowledgement", calls.acknowledge),
        ("messages_reconcile_tasks", calls.reconcile),
        ("messages_teardown_framework", calls.teardown),
        ("messages_framework_to_executor", 0),
        ("valid_framework_to_executor_messages", 0),
        ("valid_executor_to_framework_messages", 0),
        ("valid_status_updates", counters.valid_status_updates),
        ("invalid_status_updates", counters.invalid_status_updates),
        ("valid_status_update_acknowledgements", counters.valid_acknowledgements),
        ("invalid_status_update_acknowledgements", counters.invalid_acknowledgements),
        ("slave_registrations", counters.agent_registrations),
        ("slave_reregistrations", counters.agent_reregistrations),
        ("slave_removals", counters.agent_removals),
        ("slave_removals/reason_unhealthy", counters.agent_unreachable),
        (
            "slave_removals/reason_unregistered",
            counters.agent_removals.saturating_sub(counters.agent_unreachable),
        ),
        ("slave_unreachable_scheduled", counters.agent_unreachable),
        ("slave_unreachable_completed", counters.agent_unreachable),
        ("offers_made", counters.offers_made),
        ("offers_rescinded", counters.offers_rescinded),
    ] {
        put(&format!("master/{key}"), count as f64);
    }
    put("allocator/mesos/allocation_runs", counters.allocation_runs as f64);
}

fn resources(snapshot: &Snapshot, put: &mut impl FnMut(&str, f64)) {
    let sum = |of: fn(&meros_master_core::AgentView) -> &Resources| {
        snapshot.agents.iter().map(|agent| of(agent).clone()).sum::<Resources>()
    };
    let (total, used) = (sum(|agent| &agent.spec.resources), sum(|agent| &agent.used));
    let offered = sum(|agent| &agent.offered);
    for name in ["cpus", "mem", "disk", "gpus"] {
        for (suffix, total, used) in [
            ("", total.non_revocable(), used.non_revocable()),
            ("_revocable", total.revocable(), used.revocable()),
        ] {
            let (total, used) = (total.scalar(name).as_f64(), used.scalar(name).as_f64());
            put(&format!("master/{name}{suffix}_total"), total);
            put(&format!("master/{name}{suffix}_used"), used);
            put(
                &format!("master/{name}{suffix}_percent"),
                if total > 0.0 { used / total } else { 0.0 },
            );
        }
        let taken = used.scalar(name).as_f64() + offered.scalar(name).as_f64();
        put(&format!("allocator/mesos/resources/{name}/total"), total.scalar(name).as_f64());
        put(&format!("allocator/mesos/resources/{name}/offered_or_allocated"), taken);
    }
}

fn roles(snapshot: &Snapshot, put: &mut impl FnMut(&str, f64)) {
    for role in &snapshot.roles {
        put(&format!("allocator/mesos/roles/{}/shares/dominant", role.role), role.share);
        put(&format!("allocator/mesos/offer_filters/roles/{}/active", role.role), 0.0);
    }
}

/// The numbers in Prometheus's text format. What stands between slashes for a role becomes a label.
pub(super) fn prometheus(numbers: &Numbers) -> String {
    let mut text = String::new();
    let mut last_name = String::new();
    for (key, value) in numbers {
        let (name, label) = sample(key);
        if name != last_name {
            writeln!(text, "# TYPE {name} untyped").expect("a string takes all that is written");
            last_name.clone_from(&name);
        }
        writeln!(text, "{name}{label} {value}").expect("a string takes all that is written");
    }
    text
}

/// A key as a name and labels: `allocator/mesos/roles/web/shares/dominant` is
/// `meros_allocator_mesos_roles_shares_dominant{role="web"}`.
fn sample(key: &str) -> (String, String) {
    let (key, label) = match key.split_once("/roles/") {
        Some((before, after)) => {
            // A role may hold slashes itself; what follows it doesn't come twice.
            let suffix = ["/shares/dominant", "/active"].into_iter().find(|s| after.ends_with(s));
            let suffix = suffix.unwrap_or_default();
            let role = after.strip_suffix(suffix).unwrap_or(after);
            let role = role.replace('\\', r"\\").replace('"', "\\\"");
            (format!("{before}/roles{suffix}"), format!("{{role=\"{role}\"}}"))
        }
        None => (key.to_owned(), String::new()),
    };
    let name = key.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    (format!("meros_{name}"), label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_a_name_and_its_role_a_label() {
        for (key, name, label) in [
            ("master/uptime_secs", "meros_master_uptime_secs", ""),
            (
                "allocator/mesos/roles/eng/web/shares/dominant",
                "meros_allocator_mesos_roles_shares_dominant",
                "{role=\"eng/web\"}",
            ),
            (
                "allocator/mesos/offer_filters/roles/*/active",
                "meros_allocator_mesos_offer_filters_roles_active",
                "{role=\"*\"}",
            ),
        ] {
            assert_eq!(sample(key), (name.to_owned(), label.to_owned()), "{key}");
        }
    }

    #[test]
    fn each_name_is_declared_once_before_its_samples() {
        let numbers = Numbers::from([
            ("allocator/mesos/roles/a/shares/dominant".to_owned(), 0.5),
            ("allocator/mesos/roles/b/shares/dominant".to_owned(), 0.25),
        ]);
        assert_eq!(
            prometheus(&numbers),
            "# TYPE meros_allocator_mesos_roles_shares_dominant untyped\n\
             meros_allocator_mesos_roles_shares_dominant{role=\"a\"} 0.5\n\
             meros_allocator_mesos_roles_shares_dominant{role=\"b\"} 0.25\n"
        );
    }
}
