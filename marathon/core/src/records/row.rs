//! How records are written, and read back.
//!
//! A value is `{"format":1,"body":…}`. The bodies of apps are their own; the others are written
//! here, field by field, so that a change inside the core changes no row by accident.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meros_proto::ids::{AgentId, FrameworkId, IdError, TaskId};
use meros_proto::time::Timestamp;
use meros_proto::v1::TaskState;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Record, Row};
use crate::apps::AppSpec;
use crate::deployment::{Action, ActionKind, Affected, DeploymentId, Plan, Step};
use crate::groups::Group;
use crate::instances::{Agent, Condition, Goal, Instance, InstanceId, IpAddress, Task};
use crate::path_id::{PathId, PathIdError};
use crate::version::Version;
use crate::view::TaskFailure;

/// The format that this release writes, and the only one there ever was.
const FORMAT: u32 = 1;

/// Why a row can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BadRow {
    /// Its type is not one of this release's.
    #[error("row {0:?} is of a type that this release doesn't know")]
    UnknownType(String),
    /// Its format is not one of this release's.
    #[error("row {key:?} has format {format}, this release knows up to {FORMAT}")]
    UnknownFormat {
        /// The row.
        key: String,
        /// Its format.
        format: u32,
    },
    /// Its contents make no sense.
    #[error("row {key:?} makes no sense: {why}")]
    Malformed {
        /// The row.
        key: String,
        /// What is wrong.
        why: String,
    },
}

/// What a row says.
#[derive(Debug)]
pub(crate) enum Stored {
    Framework(FrameworkId),
    Root(Version, BTreeMap<PathId, Group>),
    Current(PathId, Version),
    App(Arc<AppSpec>),
    Instance(Box<StoredInstance>),
    Deployment(Arc<Plan>),
    Failure(Arc<TaskFailure>),
}

/// An instance, its definition named only.
#[derive(Debug)]
pub(crate) struct StoredInstance {
    pub(crate) id: InstanceId,
    pub(crate) version: Version,
    pub(crate) goal: Goal,
    pub(crate) incarnation: u32,
    pub(crate) since: Timestamp,
    pub(crate) task: Option<Task>,
}

pub(super) fn encode(record: &Record) -> Row {
    match record {
        Record::Framework(id) => put("framework".into(), &id.as_str()),
        Record::Root(root) => {
            put("root".into(), &RootBody { version: root.version, groups: root.groups.clone() })
        }
        Record::Current(app, version) => put(format!("current:{app}"), version),
        Record::CurrentGone(app) => delete(format!("current:{app}")),
        Record::App(spec) => put(format!("app:{}@{}", spec.id, spec.version), &**spec),
        Record::AppGone(app, version) => delete(format!("app:{app}@{version}")),
        Record::Instance(instance) => {
            put(format!("instance:{}", instance.id), &InstanceBody::of(instance))
        }
        Record::InstanceGone(id) => delete(format!("instance:{id}")),
        Record::Deployment(plan) => put(format!("deployment:{}", plan.id), &PlanBody::of(plan)),
        Record::DeploymentGone(id) => delete(format!("deployment:{id}")),
        Record::Failure(failure) => {
            put(format!("failure:{}", failure.app), &FailureBody::of(failure))
        }
        Record::FailureGone(app) => delete(format!("failure:{app}")),
    }
}

/// Reads a row.
pub(crate) fn decode(key: &str, value: &[u8]) -> Result<Stored, BadRow> {
    let (kind, name) = key.split_once(':').unwrap_or((key, ""));
    let malformed = |why: String| BadRow::Malformed { key: key.into(), why };
    Ok(match kind {
        "framework" => {
            let text: String = body(key, value)?;
            Stored::Framework(FrameworkId::parse(&text).map_err(|e| malformed(e.to_string()))?)
        }
        "root" => {
            let root: RootBody = body(key, value)?;
            Stored::Root(root.version, root.groups)
        }
        "current" => {
            let app = PathId::parse(name).map_err(|error| malformed(error.to_string()))?;
            Stored::Current(app, body(key, value)?)
        }
        "app" => Stored::App(body(key, value)?),
        "instance" => {
            let id = InstanceId::parse(name).ok_or_else(|| malformed("no instance id".into()))?;
            let stored: InstanceBody = body(key, value)?;
            Stored::Instance(
                stored.read(id).map(Box::new).map_err(|error| malformed(error.to_string()))?,
            )
        }
        "deployment" => {
            let plan: PlanBody = body(key, value)?;
            let plan = plan.read(DeploymentId::from_text(name));
            Stored::Deployment(Arc::new(plan.ok_or_else(|| malformed("no instance id".into()))?))
        }
        "failure" => {
            let failure: FailureBody = body(key, value)?;
            Stored::Failure(Arc::new(failure.read(name).map_err(malformed)?))
        }
        _ => return Err(BadRow::UnknownType(key.into())),
    })
}

#[derive(Serialize)]
struct Written<'a, B> {
    format: u32,
    body: &'a B,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Deserialize)]
struct Read<B> {
    body: B,
}

fn put(key: String, body: &impl Serialize) -> Row {
    let value = serde_json::to_vec(&Written { format: FORMAT, body })
        .expect("rows are made of strings, finite numbers and maps with string keys");
    Row { key, value: Some(value) }
}

fn delete(key: String) -> Row {
    Row { key, value: None }
}

fn body<B: DeserializeOwned>(key: &str, value: &[u8]) -> Result<B, BadRow> {
    let malformed =
        |error: serde_json::Error| BadRow::Malformed { key: key.into(), why: error.to_string() };
    // The format first: the body of another may be read wrongly.
    let Format { format } = serde_json::from_slice(value).map_err(malformed)?;
    if format != FORMAT {
        return Err(BadRow::UnknownFormat { key: key.into(), format });
    }
    let Read { body } = serde_json::from_slice(value).map_err(malformed)?;
    Ok(body)
}

#[derive(Serialize, Deserialize)]
struct RootBody {
    version: Version,
    groups: BTreeMap<PathId, Group>,
}

#[derive(Serialize, Deserialize)]
struct InstanceBody {
    version: Version,
    goal: Goal,
    incarnation: u32,
    since: u64,
    task: Option<TaskBody>,
}

#[derive(Serialize, Deserialize)]
struct TaskBody {
    condition: Condition,
    agent: String,
    hostname: String,
    region: Option<String>,
    zone: Option<String>,
    attributes: BTreeMap<String, String>,
    ports: Vec<u16>,
    staged_at: u64,
    started_at: Option<u64>,
    unreachable_since: Option<u64>,
    healthy: Option<bool>,
    addresses: Vec<IpAddress>,
}

impl InstanceBody {
    fn of(instance: &Instance) -> Self {
        Self {
            version: instance.spec.version,
            goal: instance.goal,
            incarnation: instance.incarnation,
            since: instance.since.as_nanos(),
            task: instance.task.as_ref().map(TaskBody::of),
        }
    }

    fn read(self, id: InstanceId) -> Result<StoredInstance, IdError> {
        let task = self.task.map(|task| task.read(id.task(self.incarnation))).transpose()?;
        Ok(StoredInstance {
            id,
            version: self.version,
            goal: self.goal,
            incarnation: self.incarnation,
            since: Timestamp::from_nanos(self.since),
            task,
        })
    }
}

impl TaskBody {
    fn of(task: &Task) -> Self {
        let agent = &task.agent;
        Self {
            condition: task.condition,
            agent: agent.id.to_string(),
            hostname: agent.hostname.clone(),
            region: agent.region.clone(),
            zone: agent.zone.clone(),
            attributes: agent.attributes.clone(),
            ports: task.ports.clone(),
            staged_at: task.staged_at.as_nanos(),
            started_at: task.started_at.map(Timestamp::as_nanos),
            unreachable_since: task.unreachable_since.map(Timestamp::as_nanos),
            healthy: task.agent_healthy,
            addresses: task.addresses.clone(),
        }
    }

    fn read(self, id: TaskId) -> Result<Task, IdError> {
        Ok(Task {
            id,
            condition: self.condition,
            agent: Agent {
                id: AgentId::parse(&self.agent)?,
                hostname: self.hostname,
                region: self.region,
                zone: self.zone,
                attributes: self.attributes,
            },
            ports: self.ports,
            staged_at: Timestamp::from_nanos(self.staged_at),
            started_at: self.started_at.map(Timestamp::from_nanos),
            unreachable_since: self.unreachable_since.map(Timestamp::from_nanos),
            agent_healthy: self.healthy,
            addresses: self.addresses,
            check: None,
            health: Vec::new(),
            readiness: Vec::new(),
            run_time: None,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct PlanBody {
    version: Version,
    steps: Vec<Vec<(PathId, ActionBody)>>,
    affected: BTreeMap<PathId, AffectedBody>,
    added_groups: BTreeSet<PathId>,
}

#[derive(Serialize, Deserialize)]
struct AffectedBody {
    before: Option<Arc<AppSpec>>,
    after: Option<Arc<AppSpec>>,
}

#[derive(Serialize, Deserialize)]
enum ActionBody {
    Start,
    Stop,
    Scale { victims: Vec<String> },
    Restart,
}

impl PlanBody {
    fn of(plan: &Plan) -> Self {
        let action = |action: &Action| {
            let kind = match &action.kind {
                ActionKind::Start => ActionBody::Start,
                ActionKind::Stop => ActionBody::Stop,
                ActionKind::Restart => ActionBody::Restart,
                ActionKind::Scale { victims } => ActionBody::Scale {
                    victims: victims.iter().map(InstanceId::to_string).collect(),
                },
            };
            (action.app.clone(), kind)
        };
        let steps = plan.steps.iter().map(|step| step.actions.iter().map(action).collect());
        let affected = plan.affected.iter().map(|(app, change)| {
            let (before, after) = (change.before.clone(), change.after.clone());
            (app.clone(), AffectedBody { before, after })
        });
        Self {
            version: plan.version,
            steps: steps.collect(),
            affected: affected.collect(),
            added_groups: plan.added_groups.clone(),
        }
    }

    /// `None` when a victim is no instance.
    fn read(self, id: DeploymentId) -> Option<Plan> {
        let action = |(app, kind): (PathId, ActionBody)| {
            let kind = match kind {
                ActionBody::Start => ActionKind::Start,
                ActionBody::Stop => ActionKind::Stop,
                ActionBody::Restart => ActionKind::Restart,
                ActionBody::Scale { victims } => ActionKind::Scale {
                    victims: victims
                        .iter()
                        .map(|victim| InstanceId::parse(victim))
                        .collect::<Option<_>>()?,
                },
            };
            Some(Action { app, kind })
        };
        let step = |actions: Vec<_>| {
            Some(Step { actions: actions.into_iter().map(action).collect::<Option<_>>()? })
        };
        let affected = self
            .affected
            .into_iter()
            .map(|(app, AffectedBody { before, after })| (app, Affected { before, after }));
        Some(Plan {
            id,
            version: self.version,
            steps: self.steps.into_iter().map(step).collect::<Option<_>>()?,
            affected: affected.collect(),
            added_groups: self.added_groups,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct FailureBody {
    task: String,
    state: String,
    message: String,
    host: String,
    agent: String,
    version: Version,
    at: u64,
}

impl FailureBody {
    fn of(failure: &TaskFailure) -> Self {
        Self {
            task: failure.task.to_string(),
            state: failure.state.as_str_name().into(),
            message: failure.message.clone(),
            host: failure.host.clone(),
            agent: failure.agent.to_string(),
            version: failure.version,
            at: failure.at.as_nanos(),
        }
    }

    fn read(self, app: &str) -> Result<TaskFailure, String> {
        Ok(TaskFailure {
            app: PathId::parse(app).map_err(|error: PathIdError| error.to_string())?,
            task: TaskId::parse(&self.task).map_err(|error| error.to_string())?,
            state: TaskState::from_str_name(&self.state)
                .ok_or_else(|| format!("{:?} is no task state", self.state))?,
            message: self.message,
            host: self.host,
            agent: AgentId::parse(&self.agent).map_err(|error| error.to_string())?,
            version: self.version,
            at: Timestamp::from_nanos(self.at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::plan::tests::root;
    use crate::instances::tests::with_task;

    #[track_caller]
    fn decoded(record: &Record) -> Stored {
        let row = record.row();
        decode(&row.key, &row.value.unwrap()).unwrap()
    }

    #[test]
    fn an_instance_reads_back_with_its_task() {
        let mut instance = Instance::clone(&with_task(
            "/a/b",
            Condition::Running,
            "h1",
            Timestamp::from_nanos(1_234_567_891),
        ));
        let task = instance.task.as_mut().unwrap();
        task.ports = vec![31_000];
        task.addresses = vec![IpAddress { address: "::1".into(), v6: true }];
        task.agent.attributes.insert("rack".into(), "r1".into());
        let instance = Arc::new(instance);
        let Stored::Instance(stored) = decoded(&Record::Instance(Arc::clone(&instance))) else {
            panic!("not an instance")
        };
        assert_eq!(stored.id, instance.id);
        assert_eq!(stored.task, instance.task);
        assert_eq!((stored.goal, stored.incarnation), (instance.goal, instance.incarnation));
    }

    #[test]
    fn a_plan_reads_back_whole() {
        let current = root(&[("/a", 1, 1, ""), ("/b", 1, 1, ""), ("/c", 1, 1, "")]);
        let target = root(&[("/b", 2, 1, ""), ("/c", 1, 2, "/b"), ("/d", 1, 2, "")]);
        let victims = BTreeMap::from([(
            PathId::parse("/b").unwrap(),
            vec![InstanceId::new(PathId::parse("/b").unwrap(), 7)],
        )]);
        let groups = [PathId::root()].into();
        let plan = Plan::between(&current, &target, DeploymentId::new(3), victims, groups);
        let plan = Arc::new(plan);
        let Stored::Deployment(stored) = decoded(&Record::Deployment(Arc::clone(&plan))) else {
            panic!("not a deployment")
        };
        assert_eq!(stored, plan);
    }

    #[test]
    fn what_this_release_does_not_know_is_refused() {
        for (key, value, expected) in [
            ("secret:a", r#"{"format":1,"body":1}"#, "type"),
            ("current:/a", r#"{"format":2,"body":1}"#, "format 2"),
            ("current:/a", r#"{"format":1,"body":1}"#, "makes no sense"),
            ("current:a", r#"{"format":1,"body":"2014-03-01T23:12:45.123Z"}"#, "makes no sense"),
            ("instance:a", r#"{"format":1,"body":1}"#, "makes no sense"),
            ("framework", "", "makes no sense"),
        ] {
            let error = decode(key, value.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{key}: {error}");
        }
    }

    #[test]
    fn the_written_form_of_a_row_stays_as_it_is() {
        let app = PathId::parse("/a").unwrap();
        let row = Record::Current(app, Version::from_millis(0)).row();
        assert_eq!(row.key, "current:/a");
        let text = String::from_utf8(row.value.unwrap()).unwrap();
        assert_eq!(text, r#"{"format":1,"body":"1970-01-01T00:00:00.000Z"}"#);
    }
}
