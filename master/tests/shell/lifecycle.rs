//! Starting and stopping.

use meros_master::RunError;
use meros_shell::server::ListenError;
use meros_shell::work_dir::WorkDirError;
use serde_json::json;

use crate::agent::FakeAgent;
use crate::http::{self, subscribe};
use crate::master::TestMaster;

#[tokio::test]
async fn a_port_or_a_directory_in_use_is_told_in_one_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let other = tempfile::tempdir().expect("a temporary directory");
    let master = TestMaster::start_in(dir.path(), 0).await.expect("it starts");
    let error = TestMaster::start_in(other.path(), master.address.port()).await.err();
    let error = error.expect("the port is in use");
    assert!(matches!(error, RunError::Listen(ListenError::InUse(_))), "{error}");
    assert!(!error.to_string().contains('\n'));
    let error = TestMaster::start_in(dir.path(), 0).await.err().expect("the directory is in use");
    assert!(matches!(error, RunError::WorkDir(WorkDirError::InUse(_))), "{error}");
    master.stop().await;
    TestMaster::start_in(dir.path(), 0).await.expect("it is free again").stop().await;
}

#[tokio::test]
async fn a_stop_ends_streams_and_links_and_forgets_no_framework() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let master = TestMaster::start_in(dir.path(), 0).await.expect("it starts");
    let (mut agent, agent_id) = FakeAgent::register(master.address, "cpus:1;mem:128").await;
    // Without a failover timeout: a stream that breaks would remove the framework for good.
    let mut stream = subscribe(master.address, json!({"user": "u", "name": "n"})).await;
    let id = stream.framework_id().await;
    master.stop().await;
    while stream.event().await.is_some() {}
    while agent.next().await.is_some() {}

    let master = TestMaster::start_in(dir.path(), 0).await.expect("it starts again");
    let slaves = http::get(master.address, "/slaves").await.json();
    assert_eq!(slaves["recovered_slaves"][0]["id"], agent_id.as_str(), "{slaves}");
    let info = json!({"user": "u", "name": "n", "id": {"value": id}});
    let mut again = subscribe(master.address, info).await;
    assert_eq!(again.framework_id().await, id);
    master.stop().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_does_not_keep_a_master_from_stopping() {
    let master = TestMaster::start().await;
    let silent = tokio::net::TcpStream::connect(master.address).await.expect("it listens");
    assert_eq!(http::get(master.address, "/health").await.status, 200);
    master.stop().await;
    drop(silent);
}
