//! The REST API over the real core and store. Here no master is to be found: what is stored, shown
//! and refused. What a master brings about is in [`with_master`].

mod health;
mod http_client;
mod role;
mod transcript;
mod with_master;

use meros_marathon::run;
use meros_plugin_api::Plugins;
use role::{NO_MASTER, config, read_until, start};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

async fn play(name: &str, transcript: &str) {
    let work_dir = TempDir::new().expect("a directory");
    let marathon = start(&work_dir, NO_MASTER).await;
    transcript::play(name, transcript, &marathon.address).await;
    marathon.stop().await;
}

macro_rules! transcripts {
    ($($name:ident: $file:literal,)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            play($file, include_str!(concat!("transcripts/", $file))).await;
        }
    )*};
}

transcripts! {
    apps_are_created_changed_listed_and_deleted: "apps.txt",
    mistakes_are_answered_as_the_contract_says: "mistakes.txt",
    deployments_lock_their_apps_and_can_be_cancelled: "deployments.txt",
    checks_are_completed_shown_and_refused: "health.txt",
    what_surrounds_the_apps_is_shown: "system.txt",
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_are_found_again_after_a_restart() {
    let work_dir = TempDir::new().expect("a directory");
    let first = start(&work_dir, NO_MASTER).await;
    let body = r#"{"id": "/g/a", "cmd": "sleep 1"}"#;
    let created = http_client::send(&first.address, "POST", "/v2/apps", &[], body).await;
    assert_eq!(created.status, 201, "{}", created.text());
    first.stop().await;

    let second = start(&work_dir, NO_MASTER).await;
    let found = http_client::send(&second.address, "GET", "/v2/apps//g/a", &[], "").await;
    assert_eq!(found.status, 200, "{}", found.text());
    let deployments = http_client::send(&second.address, "GET", "/v2/deployments", &[], "").await;
    assert!(deployments.text().contains("/g/a"), "its deployment goes on: {}", deployments.text());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_work_directory_or_a_port_in_use_ends_the_start_with_one_line() {
    let work_dir = TempDir::new().expect("a directory");
    let first = start(&work_dir, NO_MASTER).await;
    let again = |config| {
        let (ready, _bound) = oneshot::channel();
        run(config, Plugins::default(), CancellationToken::new(), ready)
    };
    let in_use = again(config(&work_dir, NO_MASTER, 0)).await.expect_err("refused");
    assert!(in_use.to_string().contains("in use by another process"), "{in_use}");
    let port = first.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let other_dir = TempDir::new().expect("a directory");
    let in_use = again(config(&other_dir, NO_MASTER, port)).await.expect_err("refused");
    let hint = "stop what listens there, or choose another with --port";
    assert_eq!(in_use.to_string(), format!("port {port} on 127.0.0.1 is in use: {hint}"));
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_stream_tells_of_itself_and_of_posted_apps() {
    let work_dir = TempDir::new().expect("a directory");
    let marathon = start(&work_dir, NO_MASTER).await;
    let accept = [("Accept".to_owned(), "text/event-stream".to_owned())];
    let path = "/v2/events?event_type=event_stream_attached&event_type=api_post_event";
    let mut stream = http_client::open(&marathon.address, "GET", path, &accept, "").await;
    read_until(&mut stream, "event: event_stream_attached\r\ndata: {").await;

    let body = r#"{"id": "/a", "cmd": "sleep 1"}"#;
    http_client::send(&marathon.address, "POST", "/v2/apps", &[], body).await;
    let told = read_until(&mut stream, "\"uri\":\"/v2/apps\"").await;
    assert!(told.contains("event: api_post_event\r\ndata: {"), "{told}");
    assert!(told.contains("\"clientIp\":\"127.0.0.1\""), "{told}");
    assert!(!told.contains("deployment_info"), "not asked for: {told}");
    marathon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_are_compressed_for_clients_that_take_it() {
    let work_dir = TempDir::new().expect("a directory");
    let marathon = start(&work_dir, NO_MASTER).await;
    let gzip = [("Accept-Encoding".to_owned(), "gzip".to_owned())];
    let info = http_client::send(&marathon.address, "GET", "/v2/info", &gzip, "").await;
    assert_eq!(info.header("content-encoding"), Some("gzip"));
    let plain = http_client::send(&marathon.address, "GET", "/v2/info", &[], "").await;
    assert_eq!(plain.header("content-encoding"), None);
    assert!(info.body.len() < plain.body.len());
    marathon.stop().await;
}
