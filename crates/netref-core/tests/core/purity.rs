//! The core does no I/O: its sources name none, it depends on nothing that could, and it builds where there is none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The whole dependency tree. A line more is a decision, not an accident.
const DEPENDENCIES: [&str; 15] = [
    "adler2",
    "bytes",
    "cfg-if",
    "crc32fast",
    "flate2",
    "miniz_oxide",
    "netref-core",
    "proc-macro2",
    "quote",
    "simd-adler32",
    "syn",
    "thiserror",
    "thiserror-impl",
    "unicode-ident",
    // Ends the list: `split` of the tool's output gives an empty line too.
    "",
];
const FORBIDDEN: [&str; 9] = [
    "std::net",
    "std::thread",
    "std::fs",
    "std::time",
    "std::io",
    "std::env",
    "std::process",
    "std::os",
    "unsafe ",
];
const BARE_TARGET: &str = "wasm32-unknown-unknown";

#[test]
fn the_sources_name_no_io() {
    let mut files = 0;
    for path in sources(&package().join("src")) {
        files += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        for word in FORBIDDEN {
            assert!(!text.contains(word), "{} mentions {word}", path.display());
        }
    }
    assert!(files > 10, "found {files} source files only");
    let root = std::fs::read_to_string(package().join("src/lib.rs")).unwrap();
    assert!(root.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn the_dependencies_are_these() {
    let output = cargo(&["tree", "-p", "netref-core", "-e", "normal", "--prefix", "none", "--offline"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let found: BTreeSet<&str> = text.split('\n').map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(found, DEPENDENCIES.into_iter().collect());
}

#[test]
fn it_builds_where_there_is_no_operating_system() {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let sysroot = PathBuf::from(String::from_utf8(sysroot.stdout).unwrap().trim());
    if !sysroot.join("lib/rustlib").join(BARE_TARGET).exists() {
        return;
    }
    cargo(&["check", "-p", "netref-core", "--target", BARE_TARGET, "--offline"]);
}

fn cargo(args: &[&str]) -> Output {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).args(args).current_dir(package()).output().unwrap();
    assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
