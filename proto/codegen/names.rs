//! Names as prost-build forms them.

use heck::{ToSnakeCase, ToUpperCamelCase};

/// Paths of generated types.
pub(super) struct Rust;

impl Rust {
    /// The path of the type of a full protobuf name such as `.mesos.v1.Offer.Operation`.
    ///
    /// Packages are lower case and messages are not: that tells where the package ends.
    pub(super) fn ty(full: &str) -> String {
        let mut path = String::from("crate::generated");
        let segments: Vec<&str> = full.trim_start_matches('.').split('.').collect();
        let (last, scopes) = segments.split_last().expect("a full name has at least one segment");
        for scope in scopes {
            path.push_str("::");
            path.push_str(&raw(scope.to_snake_case()));
        }
        path + "::" + &last.to_upper_camel_case()
    }
}

/// The identifier of a field.
pub(super) fn field(name: &str) -> String {
    raw(name.to_snake_case())
}

fn raw(ident: String) -> String {
    const KEYWORDS: [&str; 12] =
        ["as", "box", "enum", "for", "impl", "in", "loop", "match", "ref", "static", "type", "use"];
    if KEYWORDS.contains(&ident.as_str()) { format!("r#{ident}") } else { ident }
}
