//! What a client wants embedded: `embed=apps.tasks&embed=counts`, in all the spellings there are.

use meros_shell::http::Query;

/// Which parts beside the definition of an app are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Embed {
    /// `tasks`.
    pub(crate) tasks: bool,
    /// `tasksStaged` and so on.
    pub(crate) counts: bool,
    /// The ids of the deployments that change it.
    pub(crate) deployments: bool,
    /// `readinessCheckResults`.
    pub(crate) readiness: bool,
    /// `lastTaskFailure`.
    pub(crate) last_task_failure: bool,
    /// `tasksStats`.
    pub(crate) task_stats: bool,
}

impl Embed {
    /// What is always shown in lists of apps.
    pub(crate) const LIST: Self = Self {
        tasks: false,
        counts: true,
        deployments: true,
        readiness: false,
        last_task_failure: false,
        task_stats: false,
    };

    /// What is always shown of one app.
    pub(crate) const ONE: Self = Self { tasks: true, last_task_failure: true, ..Self::LIST };

    /// This and what `query` asks for. Names that aren't known are ignored.
    #[must_use]
    pub(crate) fn and(mut self, query: &Query) -> Self {
        for name in query.all("embed") {
            let name = name.strip_prefix("group.").unwrap_or(name);
            let name = name.strip_prefix("apps.").or(name.strip_prefix("app.")).unwrap_or(name);
            match name {
                "tasks" => (self.tasks, self.deployments) = (true, true),
                "counts" => self.counts = true,
                "deployments" => self.deployments = true,
                "readiness" => self.readiness = true,
                "lastTaskFailure" => self.last_task_failure = true,
                "failures" => {
                    (self.tasks, self.last_task_failure, self.deployments) = (true, true, true);
                }
                "taskStats" => self.task_stats = true,
                _ => {}
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_understood_and_unknown_ones_are_ignored() {
        let tasks = Embed { tasks: true, ..Embed::LIST };
        for (raw, embed) in [
            ("", Embed::LIST),
            ("embed=apps.tasks", tasks),
            ("embed=app.tasks", tasks),
            ("embed=tasks&embed=nonsense", tasks),
            ("embed=apps.failures", Embed::ONE),
            ("embed=group.apps.taskStats", Embed { task_stats: true, ..Embed::LIST }),
        ] {
            assert_eq!(Embed::LIST.and(&Query::parse(raw)), embed, "{raw}");
        }
    }
}
