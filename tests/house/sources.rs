//! What our sources must not hold.

use std::fs;
use std::path::{Path, PathBuf};

const CORES: &[&str] = &["master/core", "agent/core", "marathon/core"];

/// All Rust files below a folder of the project, build output aside.
fn rust_files(below: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(below), &mut files);
    assert!(!files.is_empty(), "{below} holds no source");
    files
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("readable UTF-8")
}

#[test]
fn a_core_names_no_clock_thread_file_or_socket() {
    let worldly = [
        "Instant::now",
        "SystemTime",
        "std::fs",
        "std::net::Tcp",
        "std::thread",
        "rand::rng(",
        "std::env",
        "tokio",
    ];
    for core in CORES {
        let rules = format!("{core}/clippy.toml");
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&rules).exists(), "{rules} is missing");
        for file in rust_files(&format!("{core}/src")) {
            for (number, line) in text(&file).lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in worldly {
                    assert!(!code.contains(word), "{}:{}: {word}", file.display(), number + 1);
                }
            }
        }
    }
}

#[test]
fn unsafe_code_is_in_the_launcher_and_the_isolators_only() {
    for file in rust_files("") {
        let path = file.to_string_lossy().into_owned();
        let allowed = ["agent/src/launcher/", "agent/src/containerizer/isolators/", "tests/house/"]
            .iter()
            .any(|place| path.contains(place));
        let has = text(&file).lines().any(|line| line.trim_start().contains("unsafe {"));
        assert!(allowed || !has, "{path} has an unsafe block");
    }
}

#[test]
fn no_file_has_outgrown_its_room() {
    const LINES_MAX: usize = 800;
    for file in rust_files("") {
        let lines = text(&file).lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines: cut it", file.display());
    }
}
