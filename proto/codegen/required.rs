//! `Required` impls: which required fields a message lacks, nested ones included.

use std::fmt::Write;

use super::{Field, Kind, Shape};

/// The impl of one message.
pub(super) fn message(out: &mut String, ty: &str, fields: &[Field]) {
    let checks: String = fields.iter().filter_map(check).collect();
    let (at, missing) = if checks.is_empty() { ("_at", "_missing") } else { ("at", "missing") };
    write!(
        out,
        "impl required::Required for {ty} {{
    fn collect_missing(&self, {at}: required::Path<'_>, {missing}: &mut Vec<String>) {{
{checks}    }}
}}
"
    )
    .expect("writing to a String never fails");
}

fn check(field: &Field) -> Option<String> {
    let Field { name, ident, required, .. } = field;
    let call = match (&field.kind, &field.shape) {
        (Kind::Message(_), Shape::One) => {
            format!("one(&self.{ident}, {required}, at, {name:?}, missing)")
        }
        (Kind::Message(_), Shape::Many) => format!("many(&self.{ident}, at, {name:?}, missing)"),
        (Kind::Message(_), Shape::Table) => format!("table(&self.{ident}, at, {name:?}, missing)"),
        (Kind::Enum(ty), Shape::One) if *required => {
            format!("name::<{ty}>(self.{ident}, at, {name:?}, missing)")
        }
        (_, Shape::One) if *required => {
            format!("present(self.{ident}.is_some(), at, {name:?}, missing)")
        }
        _ => return None,
    };
    Some(format!("        required::{call};\n"))
}
