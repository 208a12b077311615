//! From the bytes of a body to the app or to the refusal: one table for each kind of fault.

use meros_marathon_core::apps::AppSpec;
use serde_json::{Value, json};

use crate::api::changes::read;
use crate::api::errors::ApiError;
use crate::api::ids;
use crate::api::model::app::{app, named_app};
use crate::api::normalise;

/// The framework's role in these tests.
const ROLE: &str = "*";

/// What POST makes of a body.
pub(super) fn created(body: &Value) -> Result<AppSpec, ApiError> {
    let body = read(body, named_app)?;
    let id = ids::absolute(body.id.as_deref().unwrap_or_default(), "/");
    normalise::complete(&id, body, ROLE, None)
}

/// What PUT makes of a body.
pub(super) fn updated(old: &AppSpec, body: &Value) -> Result<AppSpec, ApiError> {
    normalise::changed(old, read(body, app)?, ROLE)
}

/// `(path, message)` of every fault, in the order in which the client sees them.
fn faults(error: &ApiError) -> Vec<(String, String)> {
    let (ApiError::WrongShape(faults) | ApiError::NotValid(faults)) = error else {
        panic!("no faults with paths: {error:?}");
    };
    let flat = faults.iter().flat_map(|(path, messages)| {
        messages.map(move |message| (path.to_owned(), message.to_owned()))
    });
    flat.collect()
}

#[track_caller]
pub(super) fn check(body: &Value, message: &str, expected: &[(&str, &str)]) {
    let error = created(body).expect_err("refused");
    assert_eq!(error.status().as_u16(), 422, "{body}");
    assert_eq!(error.to_string(), message, "{body}");
    let found = faults(&error);
    let found: Vec<_> = found.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(found, expected, "{body}");
}

/// A sound app with one more field.
pub(super) fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"id": "/a", "cmd": "sleep 1"});
    body[field] = value;
    body
}

#[test]
fn a_body_of_the_wrong_shape_names_the_path_and_the_key_of_each_fault() {
    for (field, value, path, key) in [
        ("id", json!(5), "/id", "error.expected.jsstring"),
        ("id", json!("/A"), "/id", "error.pattern"),
        ("cmd", json!(["a"]), "/cmd", "error.expected.jsstring"),
        ("cmd", json!(""), "/cmd", "error.minLength"),
        ("args", json!("a"), "/args", "error.expected.jsarray"),
        ("args", json!(["a", 1]), "/args(1)", "error.expected.jsstring"),
        ("cpus", json!("1"), "/cpus", "error.expected.jsnumber"),
        ("cpus", json!(0), "/cpus", "error.min"),
        ("mem", json!(-1), "/mem", "error.min"),
        ("disk", json!(true), "/disk", "error.expected.jsnumber"),
        ("instances", json!(1.5), "/instances", "error.expected.int"),
        ("instances", json!(-1), "/instances", "error.min"),
        ("executor", json!("a//b"), "/executor", "error.pattern"),
        ("env", json!([]), "/env", "error.expected.jsobject"),
        ("env", json!({"A": 1}), "/env/A", "error.expected.jsstring"),
        ("labels", json!({"a": {}}), "/labels/a", "error.expected.jsstring"),
        ("constraints", json!([["a"]]), "/constraints(0)", "error.minLength"),
        ("constraints", json!([["a", "b", "c", "d"]]), "/constraints(0)", "error.maxLength"),
        ("constraints", json!(["a"]), "/constraints(0)", "error.expected.jsarray"),
        ("backoffFactor", json!(0.5), "/backoffFactor", "error.min"),
        ("backoffSeconds", json!(-1), "/backoffSeconds", "error.min"),
        (
            "upgradeStrategy",
            json!({"minimumHealthCapacity": 2, "maximumOverCapacity": 0}),
            "/upgradeStrategy/minimumHealthCapacity",
            "error.max",
        ),
        (
            "upgradeStrategy",
            json!({"minimumHealthCapacity": 1}),
            "/upgradeStrategy/maximumOverCapacity",
            "error.path.missing",
        ),
        ("portDefinitions", json!([{"port": 70000}]), "/portDefinitions(0)/port", "error.max"),
        (
            "portDefinitions",
            json!([{"protocol": "sctp"}]),
            "/portDefinitions(0)/protocol",
            "error.unknown.enum.literal",
        ),
        ("requirePorts", json!("true"), "/requirePorts", "error.expected.jsboolean"),
        (
            "networks",
            json!([{"mode": "overlay"}]),
            "/networks(0)/mode",
            "error.unknown.enum.literal",
        ),
        ("killSelection", json!("RANDOM"), "/killSelection", "error.unknown.enum.literal"),
        (
            "unreachableStrategy",
            json!({"inactiveAfterSeconds": "1"}),
            "/unreachableStrategy/inactiveAfterSeconds",
            "error.expected.jsnumber",
        ),
        (
            "unreachableStrategy",
            json!("never"),
            "/unreachableStrategy",
            "error.unknown.enum.literal",
        ),
        ("role", json!(""), "/role", "error.minLength"),
    ] {
        check(&with(field, value), "Invalid JSON", &[(path, key)]);
    }
}

#[test]
fn all_faults_of_a_body_are_named_at_once() {
    check(
        &json!({"cpus": "1", "mem": -1, "env": {"A": 1}}),
        "Invalid JSON",
        &[
            ("/cpus", "error.expected.jsnumber"),
            ("/env/A", "error.expected.jsstring"),
            ("/id", "error.path.missing"),
            ("/mem", "error.min"),
        ],
    );
    check(&json!([]), "Invalid JSON", &[("/", "error.expected.jsobject")]);
    check(
        &json!({
            "id": "/a", "cmd": "x", "args": ["y"],
            "portDefinitions": [{"name": "a"}, {"name": "a"}],
            "acceptedResourceRoles": ["other"],
        }),
        "Object is not valid",
        &[
            (
                "/",
                "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.",
            ),
            ("/acceptedResourceRoles", "acceptedResourceRoles can only contain * and *"),
            ("/cmd", "must not be an empty string"),
            ("/portDefinitions", "Port names must be unique."),
        ],
    );
}

#[test]
fn an_app_that_breaks_a_rule_is_refused_with_the_rules_words() {
    for (field, value, path, message) in [
        (
            "args",
            json!(["a"]),
            "/",
            "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.",
        ),
        ("cmd", json!("x"), "/cmd", "must not be an empty string"),
        (
            "id",
            json!("/a..b"),
            "/id",
            r"must fully match regular expression '^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$'",
        ),
        (
            "id",
            json!("/a/tasks"),
            "/id",
            "must not end with any of the following reserved keywords: restart, tasks, versions, ., ..",
        ),
        (
            "portDefinitions",
            json!([{"port": 1}, {"port": 1}]),
            "/portDefinitions",
            "Ports must be unique.",
        ),
        ("ports", json!([1, 1]), "/ports", "ports must be unique"),
        ("acceptedResourceRoles", json!([]), "/acceptedResourceRoles", "must not be empty"),
        ("role", json!("dev"), "/role", "got dev, expected one of: *"),
        (
            "unreachableStrategy",
            json!({"inactiveAfterSeconds": 5, "expungeAfterSeconds": 1}),
            "/unreachableStrategy",
            "inactiveAfterSeconds must be less than or equal to expungeAfterSeconds",
        ),
        (
            "constraints",
            json!([["a", "UNIQUE", "b"]]),
            "/constraints(0)",
            "UNIQUE does not accept a value",
        ),
        (
            "networks",
            json!([{"mode": "host"}, {"mode": "host"}]),
            "/networks",
            "Host networking may only be specified once",
        ),
    ] {
        check(&with(field, value), "Object is not valid", &[(path, message)]);
    }
}

#[test]
fn deprecated_forms_are_looked_at_first_and_alone() {
    check(
        &json!({"id": "/a", "ports": [0], "portDefinitions": [], "args": ["a"], "cmd": "sleep 1"}),
        "Object is not valid",
        &[("/", "cannot specify both ports and port definitions")],
    );
    let both = json!({
        "id": "/a", "cmd": "sleep 1", "ports": [0, 80],
        "portDefinitions": [{"port": 0, "name": "a"}, {"port": 80, "name": "b"}],
    });
    let names: Vec<_> = created(&both).expect("they say the same").ports;
    assert_eq!(
        names.iter().filter_map(|port| port.name.as_deref()).collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[test]
fn a_single_instance_app_keeps_to_one() {
    let mut body = with("instances", json!(2));
    body["labels"] = json!({"MARATHON_SINGLE_INSTANCE_APP": "true"});
    check(
        &body,
        "Object is not valid",
        &[
            ("/instances", "got 2, expected 1 or less"),
            ("/upgradeStrategy/maximumOverCapacity", "got 1.0, expected 0.0"),
            ("/upgradeStrategy/minimumHealthCapacity", "got 1.0, expected 0.0"),
        ],
    );
}

#[test]
fn what_is_not_built_is_refused_with_its_path_unless_it_asks_for_nothing() {
    for (field, asks, path, nothing) in [
        (
            "container",
            json!({"type": "DOCKER", "docker": {"image": "a"}}),
            "/container",
            json!(null),
        ),
        ("fetch", json!([{"uri": "http://a/b"}]), "/fetch", json!([])),
        ("uris", json!(["http://a/b"]), "/uris", json!([])),
        ("gpus", json!(1), "/gpus", json!(0)),
        ("secrets", json!({"s": {"source": "x"}}), "/secrets", json!({})),
        ("env", json!({"A": {"secret": "s"}}), "/env/A", json!({})),
        ("tty", json!(true), "/tty", json!(false)),
        ("residency", json!({}), "/residency", json!(null)),
        ("ipAddress", json!({}), "/ipAddress", json!(null)),
        ("executorResources", json!({"cpus": 1}), "/executorResources", json!(null)),
        ("resourceLimits", json!({"cpus": "unlimited"}), "/resourceLimits", json!({})),
    ] {
        check(
            &with(field, asks),
            "Object is not valid",
            &[(path, "is not supported by this version")],
        );
        assert!(created(&with(field, nothing)).is_ok(), "{field}");
    }
    check(
        &with("networks", json!([{"mode": "container", "name": "dcos"}])),
        "Object is not valid",
        &[("/networks", "only host networking is supported by this version")],
    );
    check(
        &with("executor", json!("/opt/executor")),
        "Object is not valid",
        &[("/executor", "only the command executor is supported by this version")],
    );
}

#[test]
fn nulls_and_unknown_fields_are_as_if_they_were_not_there() {
    let plain = created(&json!({"id": "a", "cmd": "sleep 1"})).expect("sound");
    let noisy = created(&json!({
        "id": "/a", "cmd": "sleep 1", "args": null, "ports": null, "dependencies": null,
        "container": null, "storeUrls": [], "taskRateLimit": 1, "tasksRunning": 3, "uris": null,
        "versionInfo": {"lastScalingAt": "x"},
    }));
    assert_eq!(noisy.expect("sound"), plain);
}

#[test]
fn the_older_ports_become_port_definitions() {
    let old = created(&with("ports", json!([0, 8080]))).expect("sound");
    let new = created(&with("portDefinitions", json!([{"port": 0}, {"port": 8080}])));
    assert_eq!(old, new.expect("sound"));
    assert!(created(&with("ports", json!([]))).expect("sound").ports.is_empty());
}

#[test]
fn an_update_replaces_what_it_names_and_keeps_the_rest() {
    let old = created(&json!({
        "id": "/a", "cmd": "sleep 1", "cpus": 0.5, "env": {"A": "1", "B": "2"},
        "constraints": [["rack", "UNIQUE"]], "backoffSeconds": 7,
    }))
    .expect("sound");
    let new = updated(&old, &json!({"env": {"C": "3"}, "instances": 4, "constraints": []}));
    let new = new.expect("sound");
    assert_eq!(new.env.keys().collect::<Vec<_>>(), ["C"]);
    assert_eq!((new.instances, new.cpus, new.backoff), (4, 0.5, old.backoff));
    assert!(new.constraints.is_empty());
    assert_eq!(new.cmd, old.cmd);
    assert_eq!(updated(&old, &json!({})).expect("sound"), old);
}

#[test]
fn dependencies_are_resolved_against_the_apps_own_group() {
    let body =
        json!({"id": "/shop/app", "cmd": "sleep 1", "dependencies": ["db", "../infra", "/x"]});
    let app = created(&body).expect("sound");
    let ids: Vec<_> = app.dependencies.iter().map(|id| id.as_str()).collect();
    assert_eq!(ids, ["/infra", "/shop/db", "/x"]);
}
