//! How a pretended task behaves: as the flags say, unless its labels say otherwise.

use std::time::Duration;

use meros_proto::wire::{self, Encoding};
use meros_proto::{spans, v1};

use super::flags::Flags;
use crate::config::{ConfigError, bad};

/// What every label of ours begins with. The rest is the name of a flag.
const PREFIX: &str = "MEROS_SIMULATE_";

/// A herd of hollow agents.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// How many.
    pub agents: u32,
    /// How their tasks behave.
    pub terms: Terms,
}

/// How a pretended task behaves.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Terms {
    /// From the launch until it runs.
    pub start_delay: Duration,
    /// From then to its end; `None`: it runs until it is killed.
    pub run_time: Option<Duration>,
    /// How likely it is to end with status 1, from 0 to 1.
    pub failure_rate: f64,
    /// From SIGTERM to its end.
    pub kill_delay: Duration,
}

impl Simulation {
    /// What the flags ask for; `None`: a real agent.
    pub(crate) fn of(flags: &Flags) -> Result<Option<Self>, ConfigError> {
        let Some(agents) = flags.agents else { return Ok(None) };
        let span = crate::config::span;
        let run_time = flags.run_time.as_ref();
        let terms = Terms {
            start_delay: span("simulate-start-delay", &flags.start_delay)?,
            run_time: run_time.map(|text| span("simulate-run-time", text)).transpose()?,
            failure_rate: rate(&flags.failure_rate)
                .map_err(|error| bad("simulate-failure-rate", error))?,
            kill_delay: span("simulate-kill-delay", &flags.kill_delay)?,
        };
        Ok(Some(Self { agents, terms }))
    }
}

impl Terms {
    /// These, and what the labels of an encoded `mesos.v1.TaskInfo` say otherwise. The error is what
    /// the task fails with.
    pub(crate) fn of_task(&self, encoded: &[u8]) -> Result<Self, String> {
        // Most tasks have no such label: they aren't decoded.
        if !encoded.windows(PREFIX.len()).any(|bytes| bytes == PREFIX.as_bytes()) {
            return Ok(*self);
        }
        let task: v1::TaskInfo =
            wire::decode(Encoding::Protobuf, encoded).map_err(|error| error.to_string())?;
        let mut terms = *self;
        for label in task.labels.iter().flat_map(|labels| &labels.labels) {
            if let Some(name) = label.key().strip_prefix(PREFIX) {
                terms.set(name, label.value()).map_err(|why| format!("{PREFIX}{name}: {why}"))?;
            }
        }
        Ok(terms)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let span = || spans::parse(value).map_err(|error| error.to_string());
        match name {
            "START_DELAY" => self.start_delay = span()?,
            "RUN_TIME" => self.run_time = Some(span()?),
            "FAILURE_RATE" => self.failure_rate = rate(value)?,
            "KILL_DELAY" => self.kill_delay = span()?,
            _ => return Err("there is no such setting".to_owned()),
        }
        Ok(())
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.trim().parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or_else(|| format!("'{text}' is no number from 0 to 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_task(labels: &[(&str, &str)]) -> Result<Terms, String> {
        let labels = labels.iter().map(|(key, value)| v1::Label {
            key: Some((*key).to_owned()),
            value: Some((*value).to_owned()),
        });
        let task = v1::TaskInfo {
            name: Some("t".to_owned()),
            task_id: Some(v1::TaskId { value: Some("t".to_owned()) }),
            agent_id: Some(v1::AgentId { value: Some("a".to_owned()) }),
            labels: Some(v1::Labels { labels: labels.collect() }),
            ..v1::TaskInfo::default()
        };
        Terms::default().of_task(&wire::encode(Encoding::Protobuf, &task))
    }

    #[test]
    fn a_label_changes_what_it_names_and_nothing_else() {
        let plain = Terms::default();
        let second = Duration::from_secs(1);
        assert_eq!(of_task(&[("other", "1secs")]), Ok(plain));
        for (name, value, expected) in [
            ("START_DELAY", "1secs", Terms { start_delay: second, ..plain }),
            ("RUN_TIME", "1secs", Terms { run_time: Some(second), ..plain }),
            ("FAILURE_RATE", "0.5", Terms { failure_rate: 0.5, ..plain }),
            ("KILL_DELAY", "1secs", Terms { kill_delay: second, ..plain }),
        ] {
            let name = format!("{PREFIX}{name}");
            assert_eq!(of_task(&[("x", "y"), (&name, value)]), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_label_that_makes_no_sense_is_named() {
        for (name, value) in [
            ("MEROS_SIMULATE_RUN_TIME", "soon"),
            ("MEROS_SIMULATE_FAILURE_RATE", "2"),
            ("MEROS_SIMULATE_FAILURE_RATE", "NaN"),
            ("MEROS_SIMULATE_RUNTIME", "1secs"),
        ] {
            let error = of_task(&[(name, value)]).expect_err(name);
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
        }
    }
}
