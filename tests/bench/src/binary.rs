//! The binary that is measured.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Builds the release binary of the project that this bench is part of; where it is.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(["build", "--release", "--locked", "--package", "meros", "--bin", "meros"])
        .current_dir(&root)
        .stdin(Stdio::null())
        .status()
        .context("run cargo")?;
    ensure!(built.success(), "cargo build failed");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let binary = target.join("release/meros");
    binary.canonicalize().with_context(|| format!("find {}", binary.display()))
}
