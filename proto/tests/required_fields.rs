//! Each required field of each call, left out, in both encodings.
//!
//! The cases are not written by hand: they are walked out of the descriptors. A message
//! that is complete but for one required field must be refused, and the error names just that field.
//! `golden/required.txt` lists the paths, so that a change of the contract shows in review;
//! `MEROS_BLESS=1` writes it anew.

use meros_proto::v1;
use meros_proto::wire::{self, DecodeError, Encoding, Wire};
use prost_reflect::prost::Message;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    Value,
};

#[test]
fn a_call_without_a_required_field_is_refused_with_its_path_in_both_encodings() {
    let pool = contract();
    let mut paths = String::new();
    check::<v1::scheduler::Call>(&pool, "mesos.v1.scheduler.Call", &mut paths);
    check::<v1::executor::Call>(&pool, "mesos.v1.executor.Call", &mut paths);
    check::<v1::master::Call>(&pool, "mesos.v1.master.Call", &mut paths);
    check::<v1::agent::Call>(&pool, "mesos.v1.agent.Call", &mut paths);
    check::<v1::resource_provider::Call>(&pool, "mesos.v1.resource_provider.Call", &mut paths);
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/required.txt");
    if std::env::var_os("MEROS_BLESS").is_some() {
        std::fs::write(golden, &paths).expect("the golden file is writable");
    }
    let expected = std::fs::read_to_string(golden).expect("the golden file is there");
    assert!(expected == paths, "the required fields changed: bless {golden} and read its diff");
}

/// The descriptors as the contract states them: `required` is still there.
fn contract() -> DescriptorPool {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let files = ["agent", "executor", "master", "resource_provider", "scheduler"]
        .map(|name| format!("{dir}/mesos/v1/{name}.proto"));
    let set = protox::compile(files, [dir]).expect("the .proto files compile");
    DescriptorPool::from_file_descriptor_set(set).expect("the descriptors fit together")
}

fn check<T: Wire>(pool: &DescriptorPool, name: &str, paths: &mut String) {
    let call = pool.get_message_by_name(name).expect("the contract has it");
    decode_both::<T>(&complete(&call)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut found = Vec::new();
    find_required(&call, &mut Vec::new(), &mut found);
    assert!(!found.is_empty());
    for fields in found {
        let path = path_of(&fields);
        let error = decode_both::<T>(&lacking(&call, &fields)).expect_err(&path);
        assert_eq!(error, format!("Missing required fields: {path}"), "{name}");
        paths.push_str(&format!("{name} {path}\n"));
    }
}

/// The two encodings of `message` must fare alike.
fn decode_both<T: Wire>(message: &DynamicMessage) -> Result<(), String> {
    let protobuf = message.encode_to_vec();
    // A partial message can be decoded by prost itself: it does not look for required fields.
    let json = T::decode(&protobuf[..]).expect("well-formed").to_json();
    let text = |error: DecodeError| error.to_string();
    let from_json = wire::decode::<T>(Encoding::Json, &json).map(|_| ()).map_err(text);
    let from_protobuf = wire::decode::<T>(Encoding::Protobuf, &protobuf).map(|_| ()).map_err(text);
    assert_eq!(from_json, from_protobuf);
    from_protobuf
}

/// The fields from a call down to a required one.
type Fields = Vec<FieldDescriptor>;

/// All required fields below a message, down to where a type would hold itself again.
fn find_required(message: &MessageDescriptor, above: &mut Fields, found: &mut Vec<Fields>) {
    for field in message.fields() {
        above.push(field.clone());
        if field.cardinality() == Cardinality::Required {
            found.push(above.clone());
        }
        let within =
            |inner: &MessageDescriptor| above.iter().any(|field| field.parent_message() == inner);
        if let Some(inner) = inner(&field).filter(|inner| !within(inner)) {
            find_required(&inner, above, found);
        }
        above.pop();
    }
}

/// The message that a field, a list or a map holds.
fn inner(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => inner(&entry.map_entry_value_field()),
        Kind::Message(message) => Some(message),
        _ => None,
    }
}

/// A message with just its required fields.
fn complete(message: &MessageDescriptor) -> DynamicMessage {
    let mut complete = DynamicMessage::new(message.clone());
    for field in message.fields() {
        if field.cardinality() == Cardinality::Required {
            complete.set_field(&field, value_of(&field));
        }
    }
    complete
}

/// A message that is complete but for the last of `fields`, which lies below the others.
fn lacking(message: &MessageDescriptor, fields: &[FieldDescriptor]) -> DynamicMessage {
    let (field, below) = fields.split_first().expect("ends before it is empty");
    let mut lacking_it = complete(message);
    if below.is_empty() {
        lacking_it.clear_field(field);
        return lacking_it;
    }
    let inner = inner(field).expect("the walk went through a message");
    let value = Value::Message(lacking(&inner, below));
    let value = if field.is_map() {
        Value::Map([(MapKey::String("key".to_owned()), value)].into())
    } else if field.is_list() {
        Value::List(vec![value])
    } else {
        value
    };
    lacking_it.set_field(field, value);
    lacking_it
}

fn value_of(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::Message(inner) => Value::Message(complete(&inner)),
        Kind::Enum(inner) => Value::EnumNumber(inner.default_value().number()),
        Kind::String => Value::String("text".to_owned()),
        Kind::Bytes => Value::Bytes("bytes".into()),
        Kind::Bool => Value::Bool(true),
        Kind::Double => Value::F64(1.5),
        Kind::Int32 => Value::I32(-1),
        Kind::Int64 => Value::I64(-1),
        Kind::Uint32 => Value::U32(1),
        Kind::Uint64 => Value::U64(u64::MAX),
        other => panic!("the contract has no {other:?}"),
    }
}

fn path_of(fields: &[FieldDescriptor]) -> String {
    let (last, above) = fields.split_last().expect("a path names a field");
    let mut path = String::new();
    for field in above {
        path.push_str(field.name());
        path.push_str(if field.is_map() {
            "[key]."
        } else if field.is_list() {
            "[0]."
        } else {
            "."
        });
    }
    path + last.name()
}
