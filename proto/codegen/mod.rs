//! What is generated from the descriptors beside prost's types.
//!
//! The descriptors are used twice: as the contract states them, for JSON and for the check of
//! required fields, and with `required` turned into `optional` and oneofs flattened, for prost, so
//! that presence survives decoding.

mod json;
mod names;
mod required;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use names::Rust;

/// The same descriptors with every field optional, so that prost keeps which ones were set.
pub(crate) fn presence_kept(contract: &FileDescriptorSet) -> FileDescriptorSet {
    fn relax(message: &mut DescriptorProto) {
        for field in &mut message.field {
            if field.label() == Label::Required {
                field.set_label(Label::Optional);
            }
            field.oneof_index = None;
            // What Mesos deprecates is spoken in the field all the same: no warning at each use.
            if let Some(options) = &mut field.options {
                options.deprecated = None;
            }
        }
        message.oneof_decl.clear();
        message.nested_type.iter_mut().for_each(relax);
    }
    let mut relaxed = contract.clone();
    for file in &mut relaxed.file {
        // google.protobuf.Duration is proto3, whose plain fields would lose presence.
        file.syntax = None;
        file.message_type.iter_mut().for_each(relax);
    }
    relaxed
}

/// The impls of all messages and enums of the contract, as Rust source.
pub(crate) fn generate(contract: &FileDescriptorSet) -> String {
    let mut all = Contract::default();
    for file in &contract.file {
        let scope = format!(".{}", file.package());
        file.message_type.iter().for_each(|message| all.message(&scope, message));
        file.enum_type.iter().for_each(|e| all.enumeration(&scope, e));
    }
    let mut out = String::new();
    for (name, message) in &all.messages {
        let fields: Vec<Field> =
            message.field.iter().map(|field| Field::new(field, message)).collect();
        json::message(&mut out, &Rust::ty(name), message.name(), &fields);
        required::message(&mut out, &Rust::ty(name), &fields);
    }
    for (name, _) in &all.enums {
        json::enumeration(&mut out, &Rust::ty(name));
    }
    out
}

/// Every message and enum with its full name, a leading dot included.
#[derive(Default)]
struct Contract<'a> {
    messages: Vec<(String, &'a DescriptorProto)>,
    enums: Vec<(String, &'a EnumDescriptorProto)>,
}

impl<'a> Contract<'a> {
    fn message(&mut self, scope: &str, message: &'a DescriptorProto) {
        let is_map_entry = message.options.as_ref().is_some_and(|options| options.map_entry());
        if is_map_entry {
            return;
        }
        let name = format!("{scope}.{}", message.name());
        message.nested_type.iter().for_each(|nested| self.message(&name, nested));
        message.enum_type.iter().for_each(|nested| self.enumeration(&name, nested));
        self.messages.push((name, message));
    }

    fn enumeration(&mut self, scope: &str, e: &'a EnumDescriptorProto) {
        self.enums.push((format!("{scope}.{}", e.name()), e));
    }
}

/// One field as the generators need it.
struct Field {
    /// Name on the wire.
    name: String,
    /// Name in the Rust struct, raw where it is a keyword.
    ident: String,
    kind: Kind,
    shape: Shape,
    required: bool,
    /// An explicit default of a field that is not deprecated: printed in JSON also when unset.
    shown_default: bool,
}

enum Shape {
    One,
    Many,
    Table,
}

enum Kind {
    Text,
    Bytes,
    Flag,
    Double,
    /// The Rust integer type.
    Integer(&'static str),
    /// Rust path of the enum.
    Enum(String),
    /// Rust path of the message.
    Message(String),
}

impl Field {
    fn new(field: &FieldDescriptorProto, owner: &DescriptorProto) -> Self {
        let entry = owner.nested_type.iter().find(|nested| {
            nested.options.as_ref().is_some_and(|options| options.map_entry())
                && field.type_name().ends_with(&format!(".{}.{}", owner.name(), nested.name()))
        });
        let (kind, shape) = match entry {
            Some(entry) => (Kind::of(&entry.field[1]), Shape::Table),
            None if field.label() == Label::Repeated => (Kind::of(field), Shape::Many),
            None => (Kind::of(field), Shape::One),
        };
        let deprecated = field.options.as_ref().is_some_and(|options| options.deprecated());
        Self {
            name: field.name().to_owned(),
            ident: names::field(field.name()),
            kind,
            shape,
            required: field.label() == Label::Required,
            shown_default: field.default_value.is_some()
                && !deprecated
                && field.label() == Label::Optional,
        }
    }
}

impl Kind {
    fn of(field: &FieldDescriptorProto) -> Self {
        match field.r#type() {
            Type::String => Self::Text,
            Type::Bytes => Self::Bytes,
            Type::Bool => Self::Flag,
            Type::Double => Self::Double,
            Type::Int32 => Self::Integer("i32"),
            Type::Int64 => Self::Integer("i64"),
            Type::Uint32 => Self::Integer("u32"),
            Type::Uint64 => Self::Integer("u64"),
            Type::Enum => Self::Enum(Rust::ty(field.type_name())),
            Type::Message => Self::Message(Rust::ty(field.type_name())),
            other => panic!("{}: the contract has no fields of type {other:?}", field.name()),
        }
    }
}
