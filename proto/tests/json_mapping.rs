//! The JSON mapping of Mesos v1, by example: what is read, what is refused, what is written.

use meros_proto::v1;
use meros_proto::v1::scheduler::{Call, call};
use meros_proto::wire::{self, Encoding, Wire};

fn call(json: &str) -> Call {
    wire::decode(Encoding::Json, json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn refused<T: Wire>(json: &str) -> String {
    wire::decode::<T>(Encoding::Json, json.as_bytes()).expect_err(json).to_string()
}

fn written<T: Wire>(message: &T) -> String {
    String::from_utf8(message.to_json()).expect("JSON is UTF-8")
}

#[test]
fn a_subscribe_as_pymesos_sends_it_is_read() {
    let call = call(
        r#"{"type":"SUBSCRIBE","framework_id":{"value":"f-1"},"subscribe":{"framework_info":
            {"id":{"value":"f-1"},"name":"demo","user":"root","failover_timeout":100,
             "capabilities":[{"type":"MULTI_ROLE"}],"labels":null,"webui_url":null,"hostname":"h"},
            "offer_constraints":null}}"#,
    );
    assert_eq!(call.r#type(), call::Type::Subscribe);
    let info = call.subscribe.and_then(|subscribe| subscribe.framework_info).expect("it is there");
    assert_eq!((info.name(), info.user(), info.failover_timeout()), ("demo", "root", 100.0));
    assert_eq!(info.capabilities.len(), 1);
    assert_eq!(info.labels, None);
}

#[test]
fn numbers_and_flags_may_be_strings_and_a_lone_value_is_a_list_of_one() {
    let call = call(
        r#"{"type":"ACCEPT","accept":{"offer_ids":{"value":"o"},"unheard_of":[{"a":1}],
            "filters":{"refuse_seconds":"7.5"},"operations":{"type":"LAUNCH","launch":{"task_infos":
            {"name":"t","task_id":{"value":"t"},"agent_id":{"value":"a"},"data":"AAECAw",
             "command":{"shell":"false","value":"ls","arguments":"-l"},
             "resources":{"name":"ports","type":"RANGES","ranges":{"range":{"begin":"1","end":2.0}}}
            }}}}}"#,
    );
    let accept = call.accept.expect("it is there");
    assert_eq!(accept.filters.expect("it is there").refuse_seconds(), 7.5);
    assert_eq!(accept.offer_ids[0].value(), "o");
    let task = &accept.operations[0].launch.as_ref().expect("it is there").task_infos[0];
    assert_eq!(task.data(), [0, 1, 2, 3]);
    let command = task.command.as_ref().expect("it is there");
    assert_eq!((command.shell(), &command.arguments[..]), (false, &["-l".to_owned()][..]));
    let range = &task.resources[0].ranges.as_ref().expect("it is there").range[0];
    assert_eq!((range.begin(), range.end()), (1, 2));
}

#[test]
fn doubles_may_be_infinite_in_and_out() {
    let task = r#"{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"a"},"limits":{"cpus":{"value":"Infinity"},"mem":{"value":64}}}"#;
    let read: v1::TaskInfo = wire::decode(Encoding::Json, task.as_bytes()).expect("it is complete");
    assert_eq!(read.limits["cpus"].value(), f64::INFINITY);
    assert_eq!(
        written(&read),
        r#"{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"a"},"limits":{"cpus":{"value":"Infinity"},"mem":{"value":64.0}}}"#
    );
}

#[test]
fn an_unknown_name_of_an_enum_is_unset_where_optional_and_missing_where_required() {
    assert_eq!(call(r#"{"type":"DANCE"}"#).r#type, None);
    assert_eq!(
        refused::<v1::Resource>(r#"{"name":"cpus","type":"CUBE"}"#),
        "Missing required fields: type"
    );
    let unknown_number = [0x0a, 4, b'c', b'p', b'u', b's', 0x10, 99];
    let error = wire::decode::<v1::Resource>(Encoding::Protobuf, &unknown_number).expect_err("99");
    assert_eq!(error.to_string(), "Missing required fields: type");
}

#[test]
fn a_value_of_another_type_is_refused() {
    for (json, says) in [
        (r#"{"type":1}"#, "expected a string"),
        (r#"{"type":["SUBSCRIBE"]}"#, "invalid type: sequence"),
        (r#"{"framework_id":"f"}"#, "expected an object (FrameworkID)"),
        (r#"{"framework_id":{"value":7}}"#, "expected a string"),
        (
            r#"{"decline":{"offer_ids":[],"filters":{"refuse_seconds":"soon"}}}"#,
            "expected a number",
        ),
        (r#"{"subscribe":{"framework_info":{"checkpoint":"maybe"}}}"#, "expected a boolean"),
        (r#"{"acknowledge":{"uuid":"%%"}}"#, "not base64"),
        (r#"{"type":"#, "EOF"),
        (r#"[]"#, "invalid type: sequence"),
    ] {
        let error = refused::<Call>(json);
        assert!(error.contains(says), "{json}: {error}");
    }
}

#[test]
fn nesting_without_end_is_refused_and_not_recursed_into() {
    let skipped = format!(r#"{{"unheard_of":{}"#, "[".repeat(100_000));
    assert!(refused::<Call>(&skipped).contains("EOF"));
    let parents = r#"{"value":"c","parent":"#.repeat(100_000);
    let read = format!(r#"{{"container_status":{{"container_id":{parents}"#);
    assert!(refused::<v1::TaskStatus>(&read).contains("recursion limit"));
}

#[test]
fn keys_are_the_field_names_and_no_others() {
    assert_eq!(call(r#"{"frameworkId":{"value":"f"}}"#).framework_id, None);
}

#[test]
fn set_fields_and_declared_defaults_are_written() {
    let filters = v1::Filters::default();
    let call = Call {
        r#type: Some(call::Type::Decline.into()),
        decline: Some(call::Decline { offer_ids: Vec::new(), filters: Some(filters) }),
        ..Call::default()
    };
    assert_eq!(
        written(&call),
        r#"{"type":"DECLINE","decline":{"filters":{"refuse_seconds":5.0}}}"#
    );
    let info = v1::FrameworkInfo {
        user: Some("u".to_owned()),
        name: Some("n".to_owned()),
        ..v1::FrameworkInfo::default()
    };
    assert_eq!(
        written(&info),
        r#"{"user":"u","name":"n","failover_timeout":0.0,"checkpoint":false}"#
    );
}

#[test]
fn wide_integers_are_numbers_and_bytes_are_base64() {
    let status = v1::TaskStatus {
        task_id: Some(v1::TaskId { value: Some("t".to_owned()) }),
        state: Some(v1::TaskState::TaskRunning.into()),
        uuid: Some((&[0xff, 0xfe, 0xfd][..]).into()),
        unreachable_time: Some(v1::TimeInfo { nanoseconds: Some(i64::MAX) }),
        ..v1::TaskStatus::default()
    };
    assert_eq!(
        written(&status),
        r#"{"task_id":{"value":"t"},"state":"TASK_RUNNING","uuid":"//79","unreachable_time":{"nanoseconds":9223372036854775807}}"#
    );
}

#[test]
fn what_one_encoding_carries_the_other_carries_too() {
    let json = r#"{"framework_id":{"value":"f"},"type":"KILL","kill":{"task_id":{"value":"t"},"kill_policy":{"grace_period":{"nanoseconds":3000000000}}}}"#;
    let read = call(json);
    let again: Call =
        wire::decode(Encoding::Protobuf, &read.to_protobuf()).expect("it is complete");
    assert_eq!(again, read);
    assert_eq!(written(&again), json);
}

#[test]
fn protobuf_bytes_are_those_of_the_contract() {
    let read = call(r#"{"type":"REVIVE","framework_id":{"value":"f"},"revive":{"roles":["web"]}}"#);
    let golden: &[u8] = &[0x0a, 3, 0x0a, 1, b'f', 0x10, 5, 0x7a, 5, 0x0a, 3, b'w', b'e', b'b'];
    assert_eq!(read.to_protobuf(), golden);
    let mut with_unknown = golden.to_vec();
    with_unknown.extend([0xf8, 0x7f, 1]);
    let again: Call = wire::decode(Encoding::Protobuf, &with_unknown).expect("unknown is skipped");
    assert_eq!(again, read);
}
