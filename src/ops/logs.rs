//! `meros logs`: what a task wrote, read from its agent's sandbox.

use std::io::Write;
use std::time::Duration;

use serde::Deserialize;

use super::agents::Agents;
use super::tasks::{Task, Tasks};
use super::{Api, Cluster, Failure};

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// The task's id, or a part of it that only one task has
    task: String,
    /// Go on until the task ends
    #[arg(short, long)]
    follow: bool,
    /// What it wrote to standard error
    #[arg(long)]
    stderr: bool,
    #[command(flatten)]
    cluster: Cluster,
}

/// A piece of a file, as `/files/read` gives it.
#[derive(Debug, Deserialize)]
struct Piece {
    data: String,
}

/// Between two looks at a file that grows: the API has no way to be told.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Prints the file, and what is added to it.
pub(crate) async fn run(flags: Flags) -> Result<(), Failure> {
    let master = Api::master(&flags.cluster.master);
    let task = find(Tasks::of(&master).await?.tasks, &flags.task)?;
    let agents = Agents::of(&master).await?;
    let agent = agents.find(&task.slave_id).ok_or_else(|| {
        Failure::new(format!("the agent of {} ({}) is not registered", task.id, task.slave_id))
    })?;
    let agent = Api::agent(agent.address());
    let name = if flags.stderr { "stderr" } else { "stdout" };
    let (framework, executor) = (&task.framework_id, task.executor());
    let path = format!("/framework/{framework}/executor/{executor}/latest/{name}");
    let mut offset = 0;
    loop {
        // Looked at before the file: whatever an ended task wrote is there by then.
        let ended = !flags.follow || has_ended(&master, &task.id).await?;
        offset = print_from(&agent, &path, offset).await?;
        if ended {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Prints the file from `offset` to its present end; returns where that is.
async fn print_from(agent: &Api, path: &str, mut offset: usize) -> Result<usize, Failure> {
    let mut out = std::io::stdout().lock();
    loop {
        let piece: Piece =
            agent.get(&format!("/files/read?path={}&offset={offset}", escaped(path))).await?;
        if piece.data.is_empty() {
            return Ok(offset);
        }
        offset += piece.data.len();
        let written = out.write_all(piece.data.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| Failure::new(format!("write: {error}")))?;
    }
}

async fn has_ended(master: &Api, id: &str) -> Result<bool, Failure> {
    let tasks = Tasks::of(master).await?.tasks;
    Ok(tasks.iter().find(|task| task.id == id).is_none_or(Task::has_ended))
}

/// The task that is meant: by its whole id, or by a part that is its alone. Live ones go first.
fn find(tasks: Vec<Task>, wanted: &str) -> Result<Task, Failure> {
    let part = wanted.trim_start_matches('/').replace('/', "_");
    let (live, ended): (Vec<Task>, Vec<Task>) = tasks
        .into_iter()
        .filter(|task| task.id == wanted || task.id.contains(&part))
        .partition(|task| !task.has_ended());
    let mut found = if live.is_empty() { ended } else { live };
    if let Some(exact) = found.iter().position(|task| task.id == wanted) {
        return Ok(found.swap_remove(exact));
    }
    match found.len() {
        0 => Err(Failure::new(format!("no task's id holds {wanted:?}"))
            .hint("`meros tasks --all` lists them")),
        1 => Ok(found.swap_remove(0)),
        _ => {
            let ids: Vec<&str> = found.iter().map(|task| task.id.as_str()).collect();
            let list = ids.join("\n  ");
            Err(Failure::new(format!("{} tasks match {wanted:?}:\n  {list}", ids.len()))
                .hint("name one of them"))
        }
    }
}

/// A path as the value of a query parameter (RFC 3986, section 2).
fn escaped(path: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, state: &str) -> Task {
        Task { id: id.to_owned(), state: state.to_owned(), ..Task::default() }
    }

    fn found(wanted: &str) -> Result<String, String> {
        let tasks = vec![
            task("web.1", "TASK_RUNNING"),
            task("web.10", "TASK_RUNNING"),
            task("shop_db.1", "TASK_RUNNING"),
            task("shop_db.0", "TASK_FAILED"),
            task("old.1", "TASK_FINISHED"),
        ];
        find(tasks, wanted).map(|task| task.id).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_task_is_found_by_its_id_or_by_a_part_of_it_and_live_ones_go_first() {
        assert_eq!(found("web.1").as_deref(), Ok("web.1"));
        assert_eq!(found("/shop/db").as_deref(), Ok("shop_db.1"));
        assert_eq!(found("old").as_deref(), Ok("old.1"));
        assert!(found("web").expect_err("two match").contains("web.1\n  web.10"));
        assert!(found("none").expect_err("no match").contains("no task's id holds \"none\""));
    }

    #[test]
    fn a_path_is_escaped_for_a_query() {
        assert_eq!(escaped("/a b/c&d=é"), "/a%20b/c%26d%3D%C3%A9");
    }
}
