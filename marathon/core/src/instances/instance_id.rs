//! Names of instances, and of the tasks that they are run by.
//!
//! `shop_db.instance-<uuid>` is the instance, `shop_db.instance-<uuid>._app.3` its third task.

use std::fmt;
use std::sync::Arc;

use meros_proto::ids::TaskId;

use crate::path_id::PathId;

/// Names an instance. Stays the same while its tasks are replaced.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId {
    app: PathId,
    text: Arc<str>,
}

impl InstanceId {
    /// The id of an instance of `app`, unique by `bits`, which become a version 4 UUID.
    pub(crate) fn new(app: PathId, bits: u128) -> Self {
        let text = format!("{}.instance-{}", app.safe(), uuid(bits)).into();
        Self { app, text }
    }

    /// Reads an instance id. `None` when it doesn't name an instance of an app.
    pub fn parse(text: &str) -> Option<Self> {
        let (safe, rest) =
            text.rsplit_once(".instance-").or_else(|| text.rsplit_once(".marathon-"))?;
        let valid = !rest.is_empty() && !rest.contains('.');
        let app = PathId::from_safe(safe).ok().filter(|_| valid && !safe.is_empty())?;
        Some(Self { app, text: text.into() })
    }

    /// The instance whose task is called `task`: `<instance>._app.<incarnation>`, or
    /// `<instance>._app`.
    pub fn of_task(task: &str) -> Option<Self> {
        let (head, tail) = task.rsplit_once('.')?;
        let is_number = !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit());
        let container = if is_number { head } else { task };
        Self::parse(container.rsplit_once('.')?.0)
    }

    /// The task of its `incarnation`th launch, counted from 1.
    pub fn task(&self, incarnation: u32) -> TaskId {
        TaskId::parse(&format!("{}._app.{incarnation}", self.text))
            .expect("an instance id holds no character that a task id may not")
    }

    /// The app that it is an instance of.
    pub fn app(&self) -> &PathId {
        &self.app
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The text form of a version 4 UUID made of `bits`.
pub(crate) fn uuid(bits: u128) -> String {
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_names_its_instance_and_app() {
        let id = InstanceId::new(PathId::parse("/shop/v1.2/db").unwrap(), u128::MAX);
        assert_eq!(id.as_str(), "shop_v1.2_db.instance-ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.task(3).as_str(), format!("{id}._app.3"));
        assert_eq!(InstanceId::of_task(id.task(3).as_str()), Some(id.clone()));
        assert_eq!(InstanceId::of_task(&format!("{id}._app")), Some(id.clone()));
        assert_eq!(InstanceId::parse(id.as_str()), Some(id));
    }

    #[test]
    fn what_names_no_instance_is_refused() {
        for text in ["", "a", "a.instance-", ".instance-1", "A.instance-1", "a.instance-1.2"] {
            assert_eq!(InstanceId::parse(text), None, "{text}");
            assert_eq!(InstanceId::of_task(&format!("{text}._app.1")), None, "{text}");
        }
    }
}
