//! The rules on task states: which are final, which mean lost, and who is shown which.
//!
//! The numbers of `v1::TaskState` are in no order; the order is here, in [`progress`].
//!
//! ```text
//! STAGING → STARTING → RUNNING → KILLING → FINISHED, FAILED, KILLED, ERROR, LOST,
//!     └────────┴──────────┴─────────┤       DROPPED, GONE, GONE_BY_OPERATOR   (terminal)
//!                                   ↕
//!                              UNREACHABLE                                     (may come back)
//! ```
//! UNKNOWN is never a task's state: only an answer to a question about a task nobody knows.

use crate::v1::TaskState;

/// Whether a task in this state is over: its resources are free and its state never changes again.
pub fn is_terminal(state: TaskState) -> bool {
    match state {
        TaskState::TaskFinished
        | TaskState::TaskFailed
        | TaskState::TaskKilled
        | TaskState::TaskError
        | TaskState::TaskLost
        | TaskState::TaskDropped
        | TaskState::TaskGone
        | TaskState::TaskGoneByOperator => true,
        TaskState::TaskStaging
        | TaskState::TaskStarting
        | TaskState::TaskRunning
        | TaskState::TaskKilling
        | TaskState::TaskUnreachable
        | TaskState::TaskUnknown => false,
    }
}

/// Whether the task's agent has lost its master: the task may run on, and may come back.
pub fn is_unreachable(state: TaskState) -> bool {
    state == TaskState::TaskUnreachable
}

/// Whether a task in this state holds its resources: it isn't over, and its agent is there.
pub fn holds_resources(state: TaskState) -> bool {
    !is_terminal(state) && !is_unreachable(state) && state != TaskState::TaskUnknown
}

/// How far a task has come. A greater number never turns into a smaller one on an agent that is
/// reachable; states of equal number are alternatives.
pub fn progress(state: TaskState) -> u8 {
    match state {
        TaskState::TaskUnknown => 0,
        TaskState::TaskStaging => 1,
        TaskState::TaskStarting => 2,
        TaskState::TaskRunning => 3,
        TaskState::TaskKilling => 4,
        TaskState::TaskUnreachable => 5,
        _ => 6,
    }
}

/// Whether a task's state may become `next` after `current`, or be reported again.
///
/// Once terminal it never changes. Otherwise anything may follow, since updates can be lost and an
/// unreachable agent can come back, but for `TASK_UNKNOWN`, which is no state of a task.
pub fn may_follow(current: TaskState, next: TaskState) -> bool {
    next != TaskState::TaskUnknown && (!is_terminal(current) || next == current)
}

/// The state that a framework is shown.
///
/// One without the capability `PARTITION_AWARE` knows `TASK_LOST` only, where an aware one is told
/// what happened.
pub fn shown_to(state: TaskState, partition_aware: bool) -> TaskState {
    match state {
        TaskState::TaskDropped
        | TaskState::TaskUnreachable
        | TaskState::TaskGone
        | TaskState::TaskGoneByOperator
        | TaskState::TaskUnknown
            if !partition_aware =>
        {
            TaskState::TaskLost
        }
        state => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = TaskState> {
        (0..=13).map(|number| TaskState::try_from(number).expect("the numbers run from 0 to 13"))
    }

    #[test]
    fn eight_states_are_terminal_and_none_of_them_ever_changes() {
        assert_eq!(all().filter(|state| is_terminal(*state)).count(), 8);
        for current in all().filter(|state| is_terminal(*state)) {
            for next in all() {
                assert_eq!(may_follow(current, next), current == next, "{current:?} {next:?}");
            }
        }
    }

    #[test]
    fn a_task_that_is_not_over_may_become_anything_but_unknown() {
        for current in all().filter(|state| !is_terminal(*state)) {
            for next in all() {
                assert_eq!(may_follow(current, next), next != TaskState::TaskUnknown);
            }
        }
    }

    #[test]
    fn an_unreachable_task_is_not_over_but_holds_nothing() {
        assert!(is_unreachable(TaskState::TaskUnreachable));
        assert!(!is_terminal(TaskState::TaskUnreachable));
        assert!(!holds_resources(TaskState::TaskUnreachable));
        assert!(may_follow(TaskState::TaskUnreachable, TaskState::TaskRunning));
        let holding: Vec<_> = all().filter(|state| holds_resources(*state)).collect();
        assert_eq!(
            holding,
            [
                TaskState::TaskStarting,
                TaskState::TaskRunning,
                TaskState::TaskStaging,
                TaskState::TaskKilling
            ]
        );
    }

    #[test]
    fn a_framework_that_is_not_partition_aware_sees_lost() {
        for state in all() {
            assert_eq!(shown_to(state, true), state);
            let new = matches!(
                state.as_str_name(),
                "TASK_DROPPED"
                    | "TASK_UNREACHABLE"
                    | "TASK_GONE"
                    | "TASK_GONE_BY_OPERATOR"
                    | "TASK_UNKNOWN"
            );
            let shown = if new { TaskState::TaskLost } else { state };
            assert_eq!(shown_to(state, false), shown, "{state:?}");
        }
    }

    #[test]
    fn progress_goes_from_staging_to_the_end() {
        let order =
            ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_KILLED"];
        let steps: Vec<_> = order
            .iter()
            .map(|name| progress(TaskState::from_str_name(name).expect("a state's name")))
            .collect();
        assert!(steps.is_sorted_by(|a, b| a < b));
    }
}
