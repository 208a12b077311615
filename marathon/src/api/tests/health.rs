//! Health and readiness checks: what a client may send, what becomes of it, and how it is shown.

use serde_json::{Value, json};

use super::bodies::{check, created, updated, with};
use crate::api::errors::ApiError;
use crate::api::model::app_view::AppView;

const INDEX: &str = "Health check port indices must address an element of the ports array or \
                     container port mappings.";

/// The field of an app as GET shows it, once the app was created with `value` in it.
fn shown(field: &str, value: Value) -> Value {
    let mut body = with(field, value);
    body["portDefinitions"] =
        json!([{"port": 0, "name": "http-api"}, {"port": 0, "name": "admin"}]);
    let app = created(&body).unwrap_or_else(|error| panic!("{body}: {error:?}"));
    let view = serde_json::to_value(AppView::new(&app)).expect("a view is JSON");
    assert_eq!(created(&view).expect("what is shown can be sent back"), app);
    view[field].clone()
}

#[test]
fn a_health_check_is_shown_with_every_default() {
    let with_defaults = |own: Value| {
        let mut check = json!({
            "protocol": "HTTP", "ipProtocol": "IPv4", "gracePeriodSeconds": 300,
            "intervalSeconds": 60, "timeoutSeconds": 20, "maxConsecutiveFailures": 3,
            "delaySeconds": 15,
        });
        for (name, value) in own.as_object().expect("an object") {
            check[name] = value.clone();
        }
        check
    };
    for (sent, own) in [
        (json!({}), json!({"portIndex": 0, "ignoreHttp1xx": false})),
        (
            json!({"path": "/up", "portIndex": 1, "ignoreHttp1xx": true, "command": null}),
            json!({"path": "/up", "portIndex": 1, "ignoreHttp1xx": true}),
        ),
        (
            json!({"protocol": "HTTPS", "port": 8443, "path": ""}),
            json!({"protocol": "HTTPS", "port": 8443, "path": "", "ignoreHttp1xx": false}),
        ),
        (json!({"protocol": "TCP", "path": "/x"}), json!({"protocol": "TCP", "portIndex": 0})),
        (
            json!({"protocol": "COMMAND", "command": {"value": "true"}, "portIndex": 7}),
            json!({"protocol": "COMMAND", "command": {"value": "true"}}),
        ),
        (
            json!({"protocol": "MESOS_HTTP", "path": "/", "delaySeconds": 1}),
            json!({"protocol": "MESOS_HTTP", "path": "/", "delaySeconds": 1, "portIndex": 0}),
        ),
        (
            json!({"protocol": "MESOS_HTTPS", "port": 1}),
            json!({"protocol": "MESOS_HTTPS", "port": 1}),
        ),
        (json!({"protocol": "MESOS_TCP"}), json!({"protocol": "MESOS_TCP", "portIndex": 0})),
        (
            json!({"gracePeriodSeconds": 0, "intervalSeconds": 1, "timeoutSeconds": 2,
                   "maxConsecutiveFailures": 0}),
            json!({"gracePeriodSeconds": 0, "intervalSeconds": 1, "timeoutSeconds": 2,
                   "maxConsecutiveFailures": 0, "portIndex": 0, "ignoreHttp1xx": false}),
        ),
    ] {
        assert_eq!(shown("healthChecks", json!([sent])), json!([with_defaults(own)]), "{sent}");
    }
}

#[test]
fn the_same_health_check_twice_is_one_and_an_app_may_have_several() {
    let twice = shown("healthChecks", json!([{}, {"portIndex": 0}, {"protocol": "TCP"}]));
    assert_eq!(twice.as_array().map(Vec::len), Some(2), "{twice}");
    let commands = json!([
        {"protocol": "COMMAND", "command": {"value": "true"}},
        {"protocol": "COMMAND", "command": {"value": "test -e x"}},
        {"protocol": "MESOS_TCP"},
    ]);
    assert_eq!(shown("healthChecks", commands).as_array().map(Vec::len), Some(3));
}

#[test]
fn a_health_check_of_the_wrong_shape_is_refused_with_its_path() {
    for (one, path, key) in [
        (json!("HTTP"), "/healthChecks(1)", "error.expected.jsobject"),
        (json!({"protocol": "UDP"}), "/healthChecks(1)/protocol", "error.unknown.enum.literal"),
        (json!({"protocol": "http"}), "/healthChecks(1)/protocol", "error.unknown.enum.literal"),
        (json!({"path": 1}), "/healthChecks(1)/path", "error.expected.jsstring"),
        (json!({"port": 70_000}), "/healthChecks(1)/port", "error.max"),
        (json!({"port": "80"}), "/healthChecks(1)/port", "error.expected.jsnumber"),
        (json!({"portIndex": -1}), "/healthChecks(1)/portIndex", "error.min"),
        (json!({"portIndex": 0.5}), "/healthChecks(1)/portIndex", "error.expected.int"),
        (json!({"gracePeriodSeconds": -1}), "/healthChecks(1)/gracePeriodSeconds", "error.min"),
        (json!({"intervalSeconds": -1}), "/healthChecks(1)/intervalSeconds", "error.min"),
        (json!({"timeoutSeconds": 0}), "/healthChecks(1)/timeoutSeconds", "error.min"),
        (
            json!({"maxConsecutiveFailures": -1}),
            "/healthChecks(1)/maxConsecutiveFailures",
            "error.min",
        ),
        (json!({"delaySeconds": -1}), "/healthChecks(1)/delaySeconds", "error.min"),
        (
            json!({"ignoreHttp1xx": "no"}),
            "/healthChecks(1)/ignoreHttp1xx",
            "error.expected.jsboolean",
        ),
        (
            json!({"ipProtocol": "IPv5"}),
            "/healthChecks(1)/ipProtocol",
            "error.unknown.enum.literal",
        ),
        (
            json!({"protocol": "COMMAND", "command": "true"}),
            "/healthChecks(1)/command",
            "error.expected.jsobject",
        ),
        (
            json!({"protocol": "COMMAND", "command": {}}),
            "/healthChecks(1)/command/value",
            "error.path.missing",
        ),
    ] {
        check(&with("healthChecks", json!([{}, one])), "Invalid JSON", &[(path, key)]);
    }
    check(
        &with("healthChecks", json!({})),
        "Invalid JSON",
        &[("/healthChecks", "error.expected.jsarray")],
    );
}

#[test]
fn a_health_check_that_breaks_a_rule_is_refused_with_its_place() {
    for (checks, path, message) in [
        (json!([{}, {"portIndex": 1}]), "/healthChecks(1)", INDEX),
        (json!([{"protocol": "MESOS_TCP", "portIndex": 3}]), "/healthChecks(0)", INDEX),
        (
            json!([{"protocol": "COMMAND"}]),
            "/healthChecks(0)/command",
            "must be set for protocol COMMAND",
        ),
        (
            json!([{"protocol": "TCP", "command": {"value": "true"}}]),
            "/healthChecks(0)/command",
            "may only be set for protocol COMMAND",
        ),
        (
            json!([{"protocol": "MESOS_TCP", "ipProtocol": "IPv6"}]),
            "/healthChecks(0)/ipProtocol",
            "IPv6 is only supported for Docker containers",
        ),
        (
            json!([{"protocol": "MESOS_TCP"}, {"protocol": "MESOS_HTTP"}]),
            "/",
            "AppDefinition can contain at most one Mesos health check",
        ),
    ] {
        check(&with("healthChecks", checks), "Object is not valid", &[(path, message)]);
    }
    let mut portless = with("healthChecks", json!([{"protocol": "TCP"}]));
    portless["portDefinitions"] = json!([]);
    check(&portless, "Object is not valid", &[("/healthChecks(0)", INDEX)]);
    portless["healthChecks"][0]["port"] = json!(80);
    assert!(created(&portless).is_ok(), "a port of its own needs none of the app's");
}

#[test]
fn an_update_that_takes_a_checked_port_away_is_refused() {
    let mut body = with("healthChecks", json!([{"portIndex": 1}]));
    body["portDefinitions"] = json!([{"port": 0}, {"port": 0}]);
    let old = created(&body).expect("sound");
    let error = updated(&old, &json!({"portDefinitions": [{"port": 0}]})).expect_err("refused");
    let ApiError::NotValid(faults) = error else { panic!("{error:?}") };
    assert_eq!(faults.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["/healthChecks(0)"]);
    let other = updated(&old, &json!({"healthChecks": []})).expect("sound");
    assert!(other.health_checks.is_empty());
    assert_eq!(updated(&old, &json!({"instances": 2})).expect("sound").health_checks.len(), 1);
}

#[test]
fn a_readiness_check_is_shown_with_every_default() {
    let default = json!({
        "name": "readinessCheck", "protocol": "HTTP", "path": "/", "portName": "http-api",
        "intervalSeconds": 30, "timeoutSeconds": 10, "httpStatusCodesForReady": [200],
        "preserveLastResponse": false,
    });
    assert_eq!(shown("readinessChecks", json!([{}])), json!([default]));
    let own = json!({
        "name": "warm", "protocol": "HTTPS", "path": "/warm", "portName": "admin",
        "intervalSeconds": 5, "timeoutSeconds": 4, "httpStatusCodesForReady": [200, 204],
        "preserveLastResponse": true,
    });
    assert_eq!(shown("readinessChecks", json!([own])), json!([own]));
    let shuffled = json!([{"httpStatusCodesForReady": [204, 200, 204]}]);
    assert_eq!(shown("readinessChecks", shuffled)[0]["httpStatusCodesForReady"], json!([200, 204]));
}

#[test]
fn a_readiness_check_that_cannot_be_is_refused() {
    for (one, path, key) in [
        (json!({"protocol": "TCP"}), "/readinessChecks(0)/protocol", "error.unknown.enum.literal"),
        (json!({"portName": "Http"}), "/readinessChecks(0)/portName", "error.pattern"),
        (json!({"intervalSeconds": -1}), "/readinessChecks(0)/intervalSeconds", "error.min"),
        (json!({"timeoutSeconds": 0}), "/readinessChecks(0)/timeoutSeconds", "error.min"),
        (
            json!({"httpStatusCodesForReady": [200, 99]}),
            "/readinessChecks(0)/httpStatusCodesForReady(1)",
            "error.min",
        ),
        (
            json!({"preserveLastResponse": 1}),
            "/readinessChecks(0)/preserveLastResponse",
            "error.expected.jsboolean",
        ),
    ] {
        check(&with("readinessChecks", json!([one])), "Invalid JSON", &[(path, key)]);
    }
    for (checks, path, message) in [
        (
            json!([{}]),
            "/readinessChecks(0)/portName",
            "No port definition reference for portName http-api",
        ),
        (
            json!([{"portName": "default", "intervalSeconds": 10}]),
            "/readinessChecks(0)/timeoutSeconds",
            "got 10, expected less than 10",
        ),
        (
            json!([{"portName": "default"}, {"portName": "default"}]),
            "/readinessChecks",
            "got 2, expected 1 or less",
        ),
    ] {
        check(&with("readinessChecks", checks), "Object is not valid", &[(path, message)]);
    }
}

#[test]
fn a_check_is_shown_as_it_was_sent_with_every_default() {
    let spans = |mut check: Value| {
        for (name, seconds) in
            [("intervalSeconds", 60), ("timeoutSeconds", 20), ("delaySeconds", 15)]
        {
            check[name] = json!(seconds);
        }
        check
    };
    for (sent, kept) in [
        (
            json!({"http": {"path": "/up"}}),
            json!({"http": {"path": "/up", "scheme": "HTTP", "portIndex": 0}}),
        ),
        (json!({"http": {"port": 80}}), json!({"http": {"scheme": "HTTP", "port": 80}})),
        (json!({"tcp": {"portIndex": 1}, "exec": null}), json!({"tcp": {"portIndex": 1}})),
        (
            json!({"exec": {"command": {"shell": "true"}}}),
            json!({"exec": {"command": {"shell": "true"}}}),
        ),
        (
            json!({"exec": {"command": {"argv": ["test", "-e", "x"]}}}),
            json!({"exec": {"command": {"argv": ["test", "-e", "x"]}}}),
        ),
    ] {
        assert_eq!(shown("check", sent.clone()), spans(kept), "{sent}");
    }
}

#[test]
fn a_check_is_of_one_kind_and_of_a_port_that_there_is() {
    for (value, path, key) in [
        (json!([]), "/check", "error.expected.jsobject"),
        (json!({"tcp": {"port": -1}}), "/check/tcp/port", "error.min"),
        (json!({"exec": {}}), "/check/exec/command", "error.path.missing"),
        (json!({"exec": {"command": {}}}), "/check/exec/command/shell", "error.path.missing"),
        (json!({"exec": {"command": {"argv": []}}}), "/check/exec/command", "error.minLength"),
        (json!({"tcp": {}, "delaySeconds": -1}), "/check/delaySeconds", "error.min"),
    ] {
        check(&with("check", value), "Invalid JSON", &[(path, key)]);
    }
    let one = "must have exactly one of http, tcp and exec";
    for (value, path, message) in [
        (json!({}), "/check", one),
        (json!({"http": {}, "tcp": {}}), "/check", one),
        (
            json!({"http": {"scheme": "HTTPS"}}),
            "/check/http/scheme",
            "HTTPS is not supported by this version",
        ),
        (
            json!({"tcp": {"portIndex": 1}}),
            "/check",
            "Check port indices must address an element of the ports array or container port \
             mappings.",
        ),
    ] {
        check(&with("check", value), "Object is not valid", &[(path, message)]);
    }
}
