//! What a stored app looks like: fields that are always there, and those dropped when empty.

use serde_json::{Value, json};

use super::bodies::created;
use crate::api::model::app_view::AppView;

fn shown(body: &Value) -> Value {
    let app = created(body).expect("sound");
    serde_json::to_value(AppView::without_version_info(&app)).expect("a view is JSON")
}

#[test]
fn the_smallest_app_is_shown_with_every_default() {
    assert_eq!(
        shown(&json!({"id": "a", "cmd": "sleep 1"})),
        json!({
            "id": "/a",
            "cmd": "sleep 1",
            "backoffFactor": 1.15,
            "backoffSeconds": 1,
            "cpus": 1,
            "disk": 0,
            "executor": "",
            "gpus": 0,
            "instances": 1,
            "killSelection": "YOUNGEST_FIRST",
            "labels": {},
            "maxLaunchDelaySeconds": 300,
            "mem": 128,
            "networks": [{"mode": "host"}],
            "portDefinitions": [{"name": "default", "port": 0, "protocol": "tcp"}],
            "requirePorts": false,
            "role": "*",
            "unreachableStrategy": {"expungeAfterSeconds": 0, "inactiveAfterSeconds": 0},
            "upgradeStrategy": {"maximumOverCapacity": 1, "minimumHealthCapacity": 1},
            "version": "1970-01-01T00:00:00.000Z",
        })
    );
}

#[test]
fn what_is_shown_can_be_sent_back_and_shows_the_same() {
    let body = json!({
        "id": "/g/a", "args": ["sleep", "1"], "cpus": 0.1, "mem": 32.5, "disk": 10, "instances": 3,
        "executor": "//cmd", "user": "nobody", "env": {"A": "1"}, "labels": {"l": "x"},
        "constraints": [["rack", "GROUP_BY", "3"], ["hostname", "UNIQUE"]],
        "dependencies": ["/g/b"], "backoffSeconds": 2, "backoffFactor": 2,
        "maxLaunchDelaySeconds": 60,
        "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0},
        "portDefinitions": [
            {"port": 10001, "protocol": "udp,tcp", "name": "http", "labels": {"VIP_0": "/a:80"}},
        ],
        "requirePorts": true, "acceptedResourceRoles": ["*"], "role": "g",
        "taskKillGracePeriodSeconds": 5, "unreachableStrategy": "disabled",
        "killSelection": "OLDEST_FIRST",
    });
    let once = shown(&body);
    for (field, value) in body.as_object().expect("an object") {
        assert_eq!(&once[field], value, "{field}");
    }
    assert_eq!(shown(&once), once);
}
