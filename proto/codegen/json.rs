//! serde impls that give the JSON mapping of Mesos v1 (not that of proto3).

use std::fmt::Write;

use super::{Field, Kind, Shape};

const APPEND: &str = "writing to a String never fails";

/// `Serialize`, `Deserialize` and the decoder's two traits for one message.
pub(super) fn message(out: &mut String, ty: &str, name: &str, fields: &[Field]) {
    let writes: String = fields.iter().map(write).collect();
    let reads: String = fields.iter().map(read).collect();
    write!(
        out,
        "impl ::serde::Serialize for {ty} {{
    fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {{
        #[allow(unused_mut)]
        let mut map = to.serialize_map(None)?;
{writes}        ::serde::ser::SerializeMap::end(map)
    }}
}}
impl<'de> ::serde::Deserialize<'de> for {ty} {{
    fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {{
        decode::message(from)
    }}
}}
impl decode::Fields for {ty} {{
    const NAME: &'static str = {name:?};
    fn field<'de, A: ::serde::de::MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {{
        match key {{
{reads}            _ => return decode::unknown(map),
        }}
        #[allow(unreachable_code)]
        Ok(())
    }}
}}
impl decode::Kind for {ty} {{
    type Out = Self;
    fn out(self) -> Option<Self> {{ Some(self) }}
}}
"
    )
    .expect(APPEND);
}

/// The names of one enum.
pub(super) fn enumeration(out: &mut String, ty: &str) {
    write!(
        out,
        "impl names::Named for {ty} {{
    fn name_of(number: i32) -> Option<&'static str> {{
        Self::try_from(number).ok().map(|value| value.as_str_name())
    }}
    fn number_of(name: &str) -> Option<i32> {{ Self::from_str_name(name).map(|value| value as i32) }}
}}
"
    )
    .expect(APPEND);
}

fn write(field: &Field) -> String {
    let Field { name, ident, .. } = field;
    let (one, many) = match &field.kind {
        Kind::Text | Kind::Flag | Kind::Integer(_) | Kind::Message(_) => ("plain", "plains"),
        Kind::Double => ("double", "no list of doubles is in the contract"),
        Kind::Bytes => ("base64", "no list of bytes is in the contract"),
        Kind::Enum(_) => ("name", "names"),
    };
    let generic = match &field.kind {
        Kind::Enum(ty) => format!("::<{ty}, _>"),
        _ => String::new(),
    };
    match field.shape {
        Shape::Table => format!("        encode::table(&mut map, {name:?}, &self.{ident})?;\n"),
        Shape::Many => {
            format!("        encode::{many}{generic}(&mut map, {name:?}, &self.{ident})?;\n")
        }
        Shape::One if field.shown_default => shown_default(field, one, &generic),
        Shape::One => {
            format!("        encode::{one}{generic}(&mut map, {name:?}, &self.{ident})?;\n")
        }
    }
}

/// A field whose getter supplies the declared default where the field is unset.
fn shown_default(field: &Field, one: &str, generic: &str) -> String {
    let Field { name, ident, .. } = field;
    let value = match &field.kind {
        Kind::Text => format!("Some(self.{ident}().to_owned())"),
        Kind::Enum(_) => format!("Some(self.{ident}() as i32)"),
        _ => format!("Some(self.{ident}())"),
    };
    format!("        encode::{one}{generic}(&mut map, {name:?}, &{value})?;\n")
}

fn read(field: &Field) -> String {
    let Field { name, ident, .. } = field;
    let kind = match &field.kind {
        Kind::Text => "decode::Text".to_owned(),
        Kind::Bytes => "decode::Base64".to_owned(),
        Kind::Flag => "decode::Flag".to_owned(),
        Kind::Double => "decode::Double".to_owned(),
        Kind::Integer(ty) => format!("decode::Integer<{ty}>"),
        Kind::Enum(ty) => format!("decode::Name<{ty}>"),
        Kind::Message(ty) => ty.clone(),
    };
    let shape = match field.shape {
        Shape::One => "one",
        Shape::Many => "many",
        Shape::Table => "table",
    };
    format!("            {name:?} => self.{ident} = decode::{shape}::<{kind}, _, _>(map)?,\n")
}
