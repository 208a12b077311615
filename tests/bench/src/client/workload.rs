//! What a framework is to launch.

use meros_proto::v1::{self, TaskState};

/// Tasks that are all alike.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    /// How many.
    pub(crate) tasks: usize,
    /// What each is.
    pub(crate) shape: Shape,
    /// So many at most in one ACCEPT.
    pub(crate) per_accept: usize,
    /// So many at most that haven't come to `until`.
    pub(crate) at_once: usize,
    /// A task is done with when the acknowledgement of this state is answered.
    pub(crate) until: TaskState,
}

/// What a task is.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) cpus: f64,
    pub(crate) mem: f64,
    /// A program without arguments, run without a shell.
    pub(crate) program: &'static str,
    pub(crate) arguments: &'static [&'static str],
    /// So many labels.
    pub(crate) labels: usize,
}

impl Shape {
    /// How many of these fit into what is offered.
    pub(crate) fn fits(&self, offered: &[v1::Resource]) -> usize {
        let sum = |name: &str| {
            let named = offered.iter().filter(|resource| resource.name() == name);
            named.filter_map(|resource| resource.scalar.as_ref()?.value).sum::<f64>()
        };
        // A thousandth is the least that the master counts; sums of floats may lack less.
        let times = |offered: f64, wanted: f64| ((offered + 0.0005) / wanted) as usize;
        times(sum("cpus"), self.cpus).min(times(sum("mem"), self.mem))
    }

    /// The task, but for its id and its agent.
    pub(crate) fn task(&self) -> v1::TaskInfo {
        let labels = (0..self.labels).map(|n| v1::Label {
            key: Some(format!("label-{n}")),
            value: Some(format!("value-{n}")),
        });
        v1::TaskInfo {
            resources: vec![scalar("cpus", self.cpus), scalar("mem", self.mem)],
            command: Some(v1::CommandInfo {
                shell: Some(false),
                value: Some(self.program.to_owned()),
                arguments: self.arguments.iter().map(|text| (*text).to_owned()).collect(),
                ..v1::CommandInfo::default()
            }),
            labels: (self.labels > 0).then(|| v1::Labels { labels: labels.collect() }),
            ..v1::TaskInfo::default()
        }
    }
}

fn scalar(name: &str, value: f64) -> v1::Resource {
    v1::Resource {
        name: Some(name.to_owned()),
        r#type: Some(v1::value::Type::Scalar as i32),
        scalar: Some(v1::value::Scalar { value: Some(value) }),
        ..v1::Resource::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_fit_as_the_scarcer_resource_allows() {
        let shape = Shape { cpus: 0.1, mem: 32.0, program: "x", arguments: &[], labels: 0 };
        for (cpus, mem, fit) in
            [(1.0, 1_000.0, 10), (0.3, 1_000.0, 3), (1.0, 64.0, 2), (0.05, 64.0, 0)]
        {
            assert_eq!(
                shape.fits(&[scalar("cpus", cpus), scalar("mem", mem)]),
                fit,
                "{cpus} {mem}"
            );
        }
        assert_eq!(shape.fits(&[]), 0);
    }
}
