//! `/tasks`, page by page.

use std::cmp::Reverse;

use meros_master_core::{Snapshot, Status, Task};
use meros_shell::http::Query;
use serde::Serialize;
use serde::ser::Serializer;

use crate::api::legacy::sequence::Sequence;
use crate::api::legacy::tasks::{TaskObject, all_tasks, everywhere};
use crate::api::legacy::view::Viewer;

/// Which tasks are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    framework: Option<String>,
    task: Option<String>,
    oldest_first: bool,
    offset: usize,
    /// `None`: all.
    limit: Option<usize>,
}

impl Page {
    /// Reads the query of `/tasks`. A negative limit means all.
    pub(super) fn from_query(query: &Query) -> Result<Self, String> {
        let number = |name: &str, default: i64| match query.filled(name) {
            None => Ok(default),
            Some(text) => {
                text.parse::<i64>().map_err(|_| format!("Failed to parse '{name}': '{text}'"))
            }
        };
        let oldest_first = match query.filled("order") {
            None | Some("des") => false,
            Some("asc") => true,
            Some(other) => return Err(format!("'order' must be 'asc' or 'des', not '{other}'")),
        };
        Ok(Self {
            framework: query.filled("framework_id").map(str::to_owned),
            task: query.filled("task_id").map(str::to_owned),
            oldest_first,
            offset: usize::try_from(number("offset", 0)?).unwrap_or(0),
            limit: usize::try_from(number("limit", 100)?).ok(),
        })
    }

    fn of<'a>(&self, snapshot: &'a Snapshot, viewer: &Viewer<'_>) -> Vec<&'a Task> {
        let wanted = |wanted: &Option<String>, id: &str| wanted.as_ref().is_none_or(|w| w == id);
        let mut tasks: Vec<&Task> = everywhere(snapshot)
            .filter(|framework| wanted(&self.framework, framework.id.as_str()))
            .filter(|framework| viewer.sees_framework(framework))
            .flat_map(all_tasks)
            .filter(|task| wanted(&self.task, task.id.as_str()) && viewer.sees_task(task))
            .collect();
        let first_heard =
            |task: &&Task| (task.statuses.first().map(Status::timestamp), task.id.clone());
        if self.oldest_first {
            tasks.sort_by_cached_key(first_heard);
        } else {
            tasks.sort_by_cached_key(|task| Reverse(first_heard(task)));
        }
        tasks.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX)).collect()
    }
}

/// `/tasks`.
pub(super) struct Tasks<'a>(Vec<&'a Task>);

impl<'a> Tasks<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, viewer: &Viewer<'_>, page: &Page) -> Self {
        Self(page.of(snapshot, viewer))
    }
}

impl Serialize for Tasks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Body<T> {
            tasks: T,
        }
        let tasks = Sequence(self.0.iter().map(|task| TaskObject(task)));
        Body { tasks }.serialize(serializer)
    }
}
