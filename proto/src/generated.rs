//! The generated code: prost's types, gRPC services, and the impls of `codegen/`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::redundant_clone,
    clippy::semicolon_if_nothing_returned,
    clippy::wildcard_imports,
    reason = "generated"
)]

use crate::json::{decode, encode, names};
use crate::required;

include!(concat!(env!("OUT_DIR"), "/mesos.rs"));
include!(concat!(env!("OUT_DIR"), "/meros.rs"));
include!(concat!(env!("OUT_DIR"), "/mesos.generated.rs"));
