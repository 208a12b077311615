//! `tasksStats`: counts and ages of an app's tasks, by how new their definition is.

use meros_marathon_core::apps::AppSpec;
use meros_marathon_core::instances::Instance;
use meros_proto::time::Timestamp;
use serde::Serialize;

use super::number::natural;
use super::task_view::Counts;

/// The buckets; one without a task is left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskStatsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    started_after_last_scaling: Option<Bucket>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_latest_config: Option<Bucket>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_outdated_config: Option<Bucket>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_summary: Option<Bucket>,
}

impl TaskStatsView {
    /// Sums up `instances` of `app` at the moment `now`.
    pub(crate) fn new(app: &AppSpec, instances: &[&Instance], now: Timestamp) -> Self {
        let latest =
            |instance: &Instance| instance.spec.version >= app.version_info.last_config_change;
        let after_scaling =
            |instance: &Instance| instance.spec.version >= app.version_info.last_scaling;
        let bucket = |belongs: &dyn Fn(&Instance) -> bool| {
            Bucket::new(instances.iter().copied().filter(|instance| belongs(instance)), now)
        };
        Self {
            started_after_last_scaling: bucket(&after_scaling),
            with_latest_config: bucket(&latest),
            with_outdated_config: bucket(&|instance| !latest(instance)),
            total_summary: bucket(&|_| true),
        }
    }
}

#[derive(Serialize)]
struct Bucket {
    stats: Stats,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    counts: CountsView,
    #[serde(skip_serializing_if = "Option::is_none")]
    life_time: Option<LifeTime>,
}

#[derive(Serialize)]
struct CountsView {
    staged: usize,
    running: usize,
    healthy: usize,
    unhealthy: usize,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct LifeTime {
    #[serde(serialize_with = "natural")]
    average_seconds: f64,
    #[serde(serialize_with = "natural")]
    median_seconds: f64,
}

impl Bucket {
    fn new<'a>(instances: impl Iterator<Item = &'a Instance>, now: Timestamp) -> Option<Self> {
        let instances: Vec<_> = instances.filter(|instance| instance.task.is_some()).collect();
        if instances.is_empty() {
            return None;
        }
        let counts = Counts::of(instances.iter().copied());
        let started = instances.iter().filter_map(|instance| instance.task.as_ref()?.started_at);
        let ages = started.map(|at| now.as_secs_f64() - at.as_secs_f64()).collect();
        Some(Self {
            stats: Stats {
                counts: CountsView {
                    staged: counts.staged,
                    running: counts.running,
                    healthy: counts.healthy,
                    unhealthy: counts.unhealthy,
                },
                life_time: life_time(ages),
            },
        })
    }
}

fn life_time(mut ages: Vec<f64>) -> Option<LifeTime> {
    ages.sort_by(f64::total_cmp);
    let middle = ages.len() / 2;
    let upper = *ages.get(middle)?;
    let median =
        if ages.len().is_multiple_of(2) { (ages[middle - 1] + upper) / 2.0 } else { upper };
    let average = ages.iter().sum::<f64>() / ages.len() as f64;
    Some(LifeTime { average_seconds: average, median_seconds: median })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_ages_lies_between_the_middle_two() {
        for (ages, average, median) in [(vec![3.0, 1.0, 2.0], 2.0, 2.0), (vec![4.0, 1.0], 2.5, 2.5)]
        {
            let expected = LifeTime { average_seconds: average, median_seconds: median };
            assert_eq!(life_time(ages), Some(expected));
        }
        assert_eq!(life_time(Vec::new()), None);
    }
}
