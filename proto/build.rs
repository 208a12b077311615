//! Compiles the .proto files without a system protoc, and generates what prost does not: the JSON
//! mapping of Mesos v1 and the check for missing required fields.

#[path = "codegen/mod.rs"]
mod codegen;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Optional message fields that would make every value of their owner large.
const BOXED: [&str; 6] = [
    ".mesos.v1.TaskInfo.executor",
    ".mesos.v1.TaskInfo.container",
    ".mesos.v1.TaskInfo.health_check",
    ".mesos.v1.TaskInfo.check",
    ".mesos.v1.TaskInfo.discovery",
    ".mesos.v1.ExecutorInfo.container",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=codegen");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    mesos(&out)?;
    internal(&out)?;
    Ok(())
}

/// The Mesos v1 packages: proto2, spoken in protobuf and in JSON.
fn mesos(out: &Path) -> Result<(), Box<dyn Error>> {
    let files = [
        "agent",
        "allocator",
        "executor",
        "maintenance",
        "master",
        "mesos",
        "quota",
        "resource_provider",
        "scheduler",
    ]
    .map(|name| format!("mesos/v1/{name}.proto"));
    let contract = protox::compile(files, ["proto"])?;
    let mut prost = prost_build::Config::new();
    prost
        .out_dir(out)
        .include_file("mesos.rs")
        .compile_well_known_types()
        .disable_comments([".google"])
        .bytes(["."])
        .btree_map(["."]);
    for field in BOXED {
        prost.boxed(field);
    }
    prost.compile_fds(codegen::presence_kept(&contract))?;
    std::fs::write(out.join("mesos.generated.rs"), codegen::generate(&contract))?;
    Ok(())
}

/// The packages between our own processes: proto3, gRPC where the feature asks for it.
fn internal(out: &Path) -> Result<(), Box<dyn Error>> {
    let files = protox::compile(["meros/agent/v1/link.proto"], ["proto"])?;
    let services = env::var_os("CARGO_FEATURE_GRPC").is_some();
    let mut prost = prost_build::Config::new();
    prost.bytes(["."]);
    tonic_prost_build::configure()
        .out_dir(out)
        .include_file("meros.rs")
        .build_client(services)
        .build_server(services)
        .build_transport(false)
        .codec_path("crate::link_codec::LinkCodec")
        .compile_fds_with_config(files, prost)?;
    Ok(())
}
