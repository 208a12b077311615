//! A full disk: what runs goes on and its end is recorded, nothing new is started.

use meros_proto::time::Now;
use meros_proto::v1::task_status::Reason;

use crate::dispatch::{Agent, Out, info, warn};
use crate::input::Room;
use crate::run::dropped_or_lost;
use crate::status::Status;
use crate::task::FrameworkSpec;

impl Agent {
    /// The log has come to its reserve, or has room again.
    pub(crate) fn room_changed(&mut self, room: Room, out: &mut Out) {
        if room == self.room {
            return;
        }
        self.room = room;
        match room {
            Room::Reserve => warn(
                out,
                "the disk that holds the agent's log is full: no task is started until there is \
                 room; the ends of those that run are still recorded"
                    .to_owned(),
            ),
            Room::Plenty => {
                info(out, "the agent's log has room again: tasks are started".to_owned());
            }
        }
    }

    /// What is said of a task for which the log has no room. It is said from memory.
    pub(crate) fn no_room(&self, now: Now, framework: &FrameworkSpec) -> Option<Status> {
        if self.room == Room::Plenty {
            return None;
        }
        let state = dropped_or_lost(framework.partition_aware);
        let status = Status::of_agent(state, Reason::ContainerLaunchFailed, now.wall);
        Some(status.saying("The disk that holds the agent's log is full: no task is started"))
    }
}
