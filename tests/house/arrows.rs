//! Arrows between rooms, over `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

/// What each package may depend on directly, of our own. Arrows point one way.
const ARROWS: &[(&str, &[&str])] = &[
    ("meros-proto", &[]),
    ("meros-shell", &["meros-proto"]),
    ("meros-plugin-api", &["meros-proto"]),
    ("meros-master-core", &["meros-proto"]),
    ("meros-agent-core", &["meros-proto"]),
    ("meros-marathon-core", &["meros-proto"]),
    ("meros-master", &["meros-master-core", "meros-plugin-api", "meros-proto", "meros-shell"]),
    ("meros-agent", &["meros-agent-core", "meros-plugin-api", "meros-proto", "meros-shell"]),
    ("meros-sdk", &["meros-proto"]),
    ("meros-examples", &["meros-proto", "meros-sdk"]),
    (
        "meros-marathon",
        &["meros-marathon-core", "meros-plugin-api", "meros-proto", "meros-sdk", "meros-shell"],
    ),
    (
        "meros",
        &[
            "meros-agent",
            "meros-marathon",
            "meros-master",
            "meros-plugin-api",
            "meros-proto",
            "meros-sdk",
        ],
    ),
    ("meros-bench", &["meros-proto", "meros-sdk"]),
];

/// What a package's tests may use beside that: the simulation hosts the cores themselves.
const TEST_ARROWS: &[(&str, &[&str])] =
    &[("meros", &["meros-agent-core", "meros-marathon-core", "meros-master-core"])];

/// Crates that would let the world into a core.
const WORLDLY: &[&str] =
    &["tokio", "hyper", "tonic", "warp", "mio", "rustix", "libc", "nix", "socket2", "async-std"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

fn members() -> Vec<Package> {
    let metadata = cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let metadata: Metadata = serde_json::from_str(&metadata).expect("cargo metadata is JSON");
    let Metadata { packages, workspace_members } = metadata;
    packages.into_iter().filter(|package| workspace_members.contains(&package.id)).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

#[test]
fn rooms_depend_on_each_other_along_the_arrows_only() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for package in members() {
        let allowed = arrows.get(package.name.as_str()).unwrap_or_else(|| {
            panic!("{} is a new package: draw its arrows here and in ARCHITECTURE.md", package.name)
        });
        for dependency in &package.dependencies {
            let (name, ours) = (dependency.name.as_str(), arrows.contains_key(&*dependency.name));
            let in_tests = dependency.kind.as_deref() == Some("dev")
                && TEST_ARROWS.iter().any(|(of, more)| *of == package.name && more.contains(&name));
            assert!(
                !ours || in_tests || allowed.contains(&name),
                "{} must not depend on {}",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn no_core_has_a_dependency_that_touches_the_world() {
    for core in ["meros-master-core", "meros-agent-core", "meros-marathon-core"] {
        let tree = cargo(&[
            "tree",
            "--offline",
            "-p",
            core,
            "-e",
            "normal",
            "--prefix",
            "none",
            "-f",
            "{p}",
        ]);
        let found: BTreeSet<&str> =
            tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(found.contains("meros-proto"), "{core}: the tree was not read: {tree}");
        for crate_name in WORLDLY {
            assert!(!found.contains(crate_name), "{core} depends on {crate_name}:\n{tree}");
        }
    }
}

#[test]
fn every_package_is_built_and_tested_by_default() {
    let metadata: serde_json::Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"]))
            .expect("cargo metadata is JSON");
    let ids = |key: &str| -> BTreeSet<String> {
        let list = metadata[key].as_array().expect("a list of package ids");
        list.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect()
    };
    assert_eq!(ids("workspace_default_members"), ids("workspace_members"));
}

#[test]
fn only_tests_may_use_what_is_for_tests() {
    for package in members() {
        for dependency in &package.dependencies {
            let for_tests = ["proptest", "prost-reflect"].contains(&dependency.name.as_str());
            assert!(
                !for_tests || dependency.kind.as_deref() == Some("dev"),
                "{} uses {} outside its tests",
                package.name,
                dependency.name
            );
        }
    }
}
