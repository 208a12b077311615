//! `/v2/tasks`: the tasks of all apps.

use std::sync::Arc;

use meros_marathon_core::instances::{Condition, Instance};
use meros_shell::http::Query;
use serde::Serialize;

use super::apps::sees;
use super::desk::{Api, render};
use super::errors::ApiError;
use super::http::{Reply, Request};
use super::model::task_view::TaskView;

#[derive(Serialize)]
struct Tasks<'a> {
    tasks: Vec<TaskView<'a>>,
}

/// Which tasks are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    running: bool,
    staging: bool,
}

impl Wanted {
    /// Neither `running` nor `staging` named: all of them. Other words are ignored.
    fn parse(query: &Query) -> Self {
        let named =
            |word| query.all("status").chain(query.all("status[]")).any(|status| status == word);
        Self { running: named("running"), staging: named("staging") }
    }

    fn takes(self, instance: &Instance) -> bool {
        match instance.condition() {
            _ if !self.running && !self.staging => true,
            Condition::Running => self.running,
            Condition::Provisioned | Condition::Staging => self.staging,
            _ => false,
        }
    }
}

/// GET `/v2/tasks`
pub(crate) async fn list(api: Arc<Api>, request: Request) -> Result<Reply, ApiError> {
    let wanted = Wanted::parse(&request.query);
    let view = api.view().await?;
    render(move || {
        let seen = view.instances.iter().filter(|(app, _)| sees(&api, &request.caller, app));
        let instances = seen.flat_map(|(_, instances)| instances.values());
        let instances = instances.filter(|instance| wanted.takes(instance));
        Ok(Reply::ok(&Tasks {
            tasks: instances
                .filter_map(|instance| TaskView::with_service_ports(instance))
                .collect(),
        }))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_named_with_and_without_brackets_and_others_are_ignored() {
        for (raw, running, staging) in [
            ("", false, false),
            ("status=running", true, false),
            ("status%5B%5D=staging&status[]=running", true, true),
            ("status=lost", false, false),
        ] {
            assert_eq!(Wanted::parse(&Query::parse(raw)), Wanted { running, staging }, "{raw}");
        }
    }
}
