//! `meros logs`: what a task wrote.

use serde_json::json;

use crate::cluster::Dev;
use crate::marathon::{deploy, deployed, ids, sleeper};
use crate::process::Process;
use crate::wait::until;

#[tokio::test]
async fn what_a_task_wrote_is_printed_and_followed_to_its_end() {
    let dev = Dev::start(&["--agents", "2"]).await;
    let mut app = sleeper("/talker", 1);
    // One line a file that appears: the test is the pace.
    let gate = dev.home.join("gate");
    app["cmd"] = json!(format!(
        "echo one; echo wrong >&2; until [ -e {gate} ]; do sleep 0.05; done; echo two; exec sleep 1000"
    ));
    let task = ids(&deploy(&dev.marathon, &app).await).remove(0);
    let printed = async |arguments: &[&str]| {
        let line = [&["logs"], arguments].concat();
        until(&format!("`meros {}`", line.join(" ")), async || {
            let ended = dev.verb(&line).await;
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
            if ended.stdout.is_empty() { Err("nothing") } else { Ok(ended.stdout) }
        })
        .await
    };
    for name in [&task, "talker", "/talker"] {
        assert_eq!(printed(&[name]).await, "one\n");
    }
    assert_eq!(printed(&[&task, "--stderr"]).await, "wrong\n");

    let master = dev.master.address.to_string();
    let mut follower = Process::start(&dev.home, &["logs", "-f", "talker", "--master", &master]);
    follower.says("one").await;
    assert_eq!(follower.stdout(), "one\n");
    dev.home.write("gate", "");
    follower.says("two").await;
    let deleted = dev.marathon.delete("/v2/apps/talker").await;
    deployed(&dev.marathon, &deleted).await;
    let ended = follower.ended().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "one\ntwo\n"), "{ended:?}");
    // Its sandbox is kept for a while.
    assert_eq!(printed(&[&task]).await, "one\ntwo\n");
    dev.stop().await;
}

#[tokio::test]
async fn a_long_output_is_printed_whole_whatever_its_letters() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let mut app = sleeper("/talker", 1);
    // Letters of two bytes behind one of one: some piece ends within a letter.
    app["cmd"] = json!(
        "printf x; yes 'é' | tr -d '\\n' | head -c 200000; echo; touch done; exec sleep 1000"
    );
    let task = ids(&deploy(&dev.marathon, &app).await).remove(0);
    let wanted = format!("x{}\n", "é".repeat(100_000));
    let wrote = until("the whole output", async || {
        let ended = dev.verb(&["logs", &task]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        if ended.stdout.ends_with('\n') { Ok(ended.stdout) } else { Err(ended.stdout.len()) }
    })
    .await;
    assert_eq!(wrote.len(), wanted.len());
    assert!(wrote == wanted, "some letter is not what it was");
    dev.stop().await;
}

#[tokio::test]
async fn a_name_that_several_tasks_have_is_answered_with_their_list() {
    let dev = Dev::start(&["--agents", "1"]).await;
    let tasks = ids(&deploy(&dev.marathon, &sleeper("/sleeper", 2)).await);
    let ended = dev.verb(&["logs", "sleeper"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.starts_with("error: 2 tasks match \"sleeper\":\n"), "{}", ended.stderr);
    for part in [&*tasks[0], &tasks[1], "hint: name one of them"] {
        assert!(ended.stderr.contains(part), "no {part:?} in {}", ended.stderr);
    }
    dev.stop().await;
}
