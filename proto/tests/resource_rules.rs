//! Which messages are resources, which aren't and why, and how each reservation is written.

use meros_proto::resources::{
    Name, Reservation, ReservationFormat, Resource, Resources, Role, Scalar,
};
use meros_proto::v1;

/// The problem with a resource given in the wire's JSON, `disk`-like parts and all.
fn problem(json: &str) -> String {
    let message: v1::Resource = serde_json::from_str(json).expect("JSON of a resource");
    match Resource::from_proto(&message) {
        Ok(resource) => panic!("{resource} is accepted"),
        Err(error) => error.problem.to_string(),
    }
}

#[test]
fn a_value_that_is_none_is_refused_with_the_reason() {
    for (json, text) in [
        (r#"{"type":"SCALAR","scalar":{"value":1}}"#, "its name is empty"),
        (r#"{"name":"x"}"#, "its type must be SCALAR, RANGES or SET"),
        (r#"{"name":"x","type":"TEXT"}"#, "its type must be SCALAR, RANGES or SET"),
        (
            r#"{"name":"x","type":"SCALAR"}"#,
            "a scalar resource must have a scalar value and no other",
        ),
        (
            r#"{"name":"x","type":"SET","set":{"item":["a"]},"scalar":{"value":1}}"#,
            "a set resource must have a set value and no other",
        ),
        (r#"{"name":"x","type":"SCALAR","scalar":{"value":-1}}"#, "its amount is negative"),
        (r#"{"name":"x","type":"SCALAR","scalar":{"value":-0.0001}}"#, "its amount is negative"),
        (
            r#"{"name":"x","type":"SCALAR","scalar":{"value":"Infinity"}}"#,
            "its amount is not a finite number",
        ),
        (
            r#"{"name":"x","type":"SCALAR","scalar":{"value":1e300}}"#,
            "its amount is larger than 1125899906842.624",
        ),
        (
            r#"{"name":"x","type":"RANGES","ranges":{"range":[{"begin":2,"end":1}]}}"#,
            "the range 2-1 begins after its end",
        ),
        (
            r#"{"name":"x","type":"RANGES",
                "ranges":{"range":[{"begin":1,"end":3},{"begin":3,"end":4}]}}"#,
            "the ranges 1-3 and 3-4 overlap",
        ),
        (r#"{"name":"x","type":"SET","set":{"item":["a","a"]}}"#, "the set has 'a' twice"),
        (r#"{"name":"cpus","type":"SET","set":{"item":["a"]}}"#, "it must be of type SCALAR"),
        (r#"{"name":"ports","type":"SCALAR","scalar":{"value":1}}"#, "it must be of type RANGES"),
    ] {
        assert_eq!(problem(json), text, "{json}");
    }
}

#[test]
fn a_nan_is_refused() {
    let one = Resource::scalar(Name::Cpus, Scalar::from(1));
    let mut message = one.to_proto(ReservationFormat::Refined).expect("it has one");
    message.scalar = Some(v1::value::Scalar { value: Some(f64::NAN) });
    let error = Resource::from_proto(&message).unwrap_err();
    assert_eq!(error.to_string(), "resource 'cpus' is invalid: its amount is not a finite number");
}

#[test]
fn a_reservation_that_is_none_is_refused_with_the_reason() {
    for (fields, text) in [
        (r#""role":"a//b""#, "role 'a//b' must not have two adjacent slashes"),
        (r#""reservation":{}"#, "role '*' cannot be reserved"),
        (r#""role":"*","reservation":{"principal":"p"}"#, "role '*' cannot be reserved"),
        (
            r#""role":"r","reservation":{"type":"DYNAMIC"}"#,
            "'reservation.type' must not be set in the old format",
        ),
        (
            r#""role":"r","reservation":{"role":"r"}"#,
            "'reservation.role' must not be set in the old format",
        ),
        (
            r#""role":"r","reservations":[{"type":"STATIC","role":"r"}]"#,
            "'role' and 'reservation' must not be set together with 'reservations'",
        ),
        (
            r#""reservation":{},"reservations":[{"type":"DYNAMIC","role":"r"}]"#,
            "'role' and 'reservation' must not be set together with 'reservations'",
        ),
        (r#""reservations":[{"role":"r"}]"#, "'reservations.type' must be set"),
        (r#""reservations":[{"type":"STATIC"}]"#, "'reservations.role' must be set"),
        (r#""reservations":[{"type":"STATIC","role":"*"}]"#, "role '*' cannot be reserved"),
        (
            r#""reservations":[{"type":"STATIC","role":"a"},{"type":"STATIC","role":"a/b"}]"#,
            "a refined reservation cannot be STATIC",
        ),
        (
            r#""reservations":[{"type":"STATIC","role":"a"},{"type":"DYNAMIC","role":"ab"}]"#,
            "role 'ab' is not under 'a', whose reservation it refines",
        ),
    ] {
        let json = format!(r#"{{"name":"x","type":"SCALAR","scalar":{{"value":1}},{fields}}}"#);
        assert_eq!(problem(&json), text, "{fields}");
    }
}

#[test]
fn a_disk_that_is_none_is_refused_with_the_reason() {
    for (name, fields, text) in [
        ("mem", r#""disk":{}"#, "'disk' must not be set on it"),
        (
            "disk",
            r#""disk":{"persistence":{"id":"../x"}}"#,
            "its persistence id '../x' contains '/', which is not allowed",
        ),
        ("disk", r#""disk":{"persistence":{"id":""}}"#, "its persistence id must not be empty"),
        (
            "disk",
            r#""disk":{"source":{"type":"UNKNOWN"}}"#,
            "'disk.source.type' must be PATH, MOUNT, BLOCK or RAW",
        ),
        (
            "disk",
            r#""disk":{"source":{"type":"RAW","mount":{"root":"/m"}}}"#,
            "'disk.source.mount' must not be set on a RAW source",
        ),
        (
            "disk",
            r#""disk":{"source":{"type":"MOUNT","path":{"root":"/m"}}}"#,
            "'disk.source.path' must not be set on a MOUNT source",
        ),
        ("disk", r#""shared":{}"#, "only persistent volumes can be shared"),
        ("cpus", r#""shared":{}"#, "only persistent volumes can be shared"),
        ("cpus", r#""provider_id":{"value":""}"#, "its provider id must not be empty"),
    ] {
        let json =
            format!(r#"{{"name":"{name}","type":"SCALAR","scalar":{{"value":1}},{fields}}}"#);
        assert_eq!(problem(&json), text, "{fields}");
    }
}

#[test]
fn ranges_and_items_given_twice_are_refused_amounts_add_up() {
    let read = |json: &str| {
        let messages: Vec<v1::Resource> = serde_json::from_str(json).expect("JSON");
        Resources::from_protos(&messages).map_err(|error| error.to_string())
    };
    let ports = r#"{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":2}]}}"#;
    let twice = read(&format!("[{ports},{ports}]"));
    assert_eq!(twice, Err("resource 'ports' is invalid: part of it is given twice".to_owned()));
    let cpus = r#"{"name":"cpus","type":"SCALAR","scalar":{"value":0.1}}"#;
    assert_eq!(read(&format!("[{cpus},{cpus},{cpus}]")).unwrap().to_string(), "cpus:0.3");
}

#[test]
fn each_kind_of_reservation_is_written_as_its_readers_know_it() {
    let role = |text: &str| Role::parse(text).expect("a role");
    let plain = Resource::scalar(Name::Cpus, Scalar::from(1));
    let fixed = plain.clone().with_reservation(Reservation::statically(role("a")));
    let dynamic = plain.clone().with_reservation(Reservation::dynamically(role("a"), Some("me")));
    let refined = fixed.clone().with_reservation(Reservation::dynamically(role("a/b"), None));
    let json = |resource: &Resource, format| {
        resource.to_proto(format).map(|message| {
            let mut json = serde_json::to_value(message).expect("a message is JSON");
            let map = json.as_object_mut().expect("an object");
            map.retain(|key, _| key.starts_with("r"));
            json.to_string()
        })
    };
    for (resource, new, old) in [
        (&plain, "{}", Some(r#"{"role":"*"}"#)),
        (&fixed, r#"{"reservations":[{"role":"a","type":"STATIC"}]}"#, Some(r#"{"role":"a"}"#)),
        (
            &dynamic,
            r#"{"reservations":[{"principal":"me","role":"a","type":"DYNAMIC"}]}"#,
            Some(r#"{"reservation":{"principal":"me"},"role":"a"}"#),
        ),
        (
            &refined,
            r#"{"reservations":[{"role":"a","type":"STATIC"},{"role":"a/b","type":"DYNAMIC"}]}"#,
            None,
        ),
    ] {
        assert_eq!(json(resource, ReservationFormat::Refined).as_deref(), Some(new));
        assert_eq!(json(resource, ReservationFormat::Legacy).as_deref(), old);
    }
}
