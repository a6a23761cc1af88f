//! ARCHITECTURE §3 as a test: imports go one way, and only the shell may wait.
//!
//! A small text scan, not a compiler: comments, literals and `#[cfg(test)]` items vanish, every path that is left is
//! resolved to a room (`crate::room::…`, groups in braces, and `super::super::room`), and checked against the tables
//! of `layering/rules.rs`. A finding names file, line, rule, and what to do instead.

#![expect(clippy::unwrap_used, reason = "a source that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[path = "layering/made_up.rs"]
mod made_up;
#[path = "layering/rules.rs"]
mod rules;
#[path = "layering/scan.rs"]
mod scan;

use rules::{ROOMS, clock_or_lock, outside_touched, room_imported};
use scan::{Scan, module_path, scan};

/// One broken rule.
struct Finding {
    file: String,
    line: usize,
    rule: String,
    hint: &'static str,
}

#[test]
fn imports_go_one_way_and_only_the_shell_waits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = dependencies(&std::fs::read_to_string(root.join("Cargo.toml")).unwrap());
    let sources: Vec<(String, String)> = rust_files(&root.join("src"))
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    assert!(
        sources.len() >= 15,
        "the scan found only {} files under src/",
        sources.len()
    );

    let findings = check(&sources, &crates);
    let line = |finding: &Finding| {
        format!(
            "{}:{}: {}\n    {}",
            finding.file, finding.line, finding.rule, finding.hint
        )
    };
    let list: Vec<String> = findings.iter().map(line).collect();
    assert!(
        list.is_empty(),
        "\n{} broken rules of ARCHITECTURE §3:\n\n{}\n",
        list.len(),
        list.join("\n\n")
    );
}

/// Checks every file; `crates` are the library names of the dependencies.
fn check(sources: &[(String, String)], crates: &BTreeSet<String>) -> Vec<Finding> {
    let scans: Vec<(&str, Vec<String>, Scan)> = sources
        .iter()
        .map(|(file, text)| (file.as_str(), module_path(file), scan(text, file)))
        .collect();
    let test_files: BTreeSet<&Vec<String>> = scans.iter().flat_map(|(.., scan)| &scan.test_modules).collect();

    let mut findings = Vec::new();
    for (file, module, scan) in &scans {
        let in_tests = (1..=module.len()).any(|depth| test_files.contains(&module[..depth].to_vec()));
        // lib.rs declares the rooms and re-exports from them; main.rs starts the program.
        let room = module.first().map_or("main", String::as_str);
        if in_tests || room == "main" {
            continue;
        }
        let mut report = |line, rule: String, hint| {
            findings.push(Finding {
                file: (*file).to_owned(),
                line,
                rule,
                hint,
            })
        };
        let Some((_, may_name)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            report(
                1,
                format!("`{room}` is a room that the table does not know"),
                "say in ARCHITECTURE's table where it belongs, then add it to ROOMS in tests/layering/rules.rs",
            );
            continue;
        };
        for (path, line) in &scan.paths {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let broken = [
                room_imported(room, may_name, &path),
                outside_touched(room, &path, crates),
                clock_or_lock(room, &path),
            ];
            for (rule, hint) in broken.into_iter().flatten() {
                report(*line, rule, hint);
            }
        }
    }
    findings
}

/// The library names under `[dependencies]`.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let section = manifest
        .split("\n[")
        .find(|section| section.starts_with("dependencies]"))
        .unwrap_or("");
    let names = section
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='));
    // md-5 is the one crate here whose library has another name.
    names
        .map(|(name, _)| name.trim().replace('-', "_").replace("md_5", "md5"))
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
