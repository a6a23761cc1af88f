//! ARCHITECTURE §3 as a test: imports go one way, and only the shell may wait.
//!
//! A small text scan, not a compiler: comments, literals and `#[cfg(test)]` items vanish, every path that is left is
//! resolved to a room (`crate::room::…`, groups in braces, and `super::super::room`), and checked against the tables
//! below. A finding names file, line, rule, and what to do instead.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

mod scan;
use scan::{Scan, module_path, scan};

/// A room, and the rooms that it may name.
const ROOMS: &[(&str, &[&str])] = &[
    ("sip", &[]),
    ("sdp", &[]),
    ("phone", &["sip", "sdp"]),
    ("transport", &["sip", "sdp"]),
    ("transaction", &["sip", "sdp", "transport"]),
    ("dialog", &["sip", "sdp", "transport", "transaction"]),
    ("leg", &["sip", "sdp", "transport", "transaction", "dialog"]),
    ("media", &["sdp", "leg"]),
    ("call", &["sip", "sdp", "transport", "transaction", "dialog", "leg"]),
    (
        "transfer",
        &["sip", "sdp", "transport", "transaction", "dialog", "leg", "call"],
    ),
    (
        "registrar",
        &["sip", "sdp", "transport", "transaction", "dialog", "leg", "call"],
    ),
    (
        "proxy",
        &["sip", "sdp", "transport", "transaction", "dialog", "leg", "call"],
    ),
    ("engine", BELOW_ENGINE),
    ("store", WITH_ENGINE),
    ("config", WITH_ENGINE),
    ("api", &["engine", "config", "leg", "sip"]),
    ("observe", WITH_ENGINE),
    (
        "driver",
        &[
            "api",
            "config",
            "observe",
            "store",
            "media",
            "engine",
            "leg",
            "transport",
            "sip",
        ],
    ),
    (
        "cli",
        &[
            "driver",
            "api",
            "config",
            "observe",
            "phone",
            "store",
            "engine",
            "leg",
            "transport",
            "sip",
            "sdp",
        ],
    ),
    ("manual", &[]),
];

const BELOW_ENGINE: &[&str] = &[
    "sip",
    "sdp",
    "transport",
    "transaction",
    "dialog",
    "leg",
    "media",
    "call",
    "transfer",
    "registrar",
    "proxy",
];
const WITH_ENGINE: &[&str] = &[
    "engine",
    "sip",
    "sdp",
    "transport",
    "transaction",
    "dialog",
    "leg",
    "call",
    "transfer",
    "registrar",
    "proxy",
];

/// `(room, imported room)` where only handles may be named.
const HANDLES_ONLY: &[(&str, &str)] = &[("api", "leg"), ("media", "leg")];
const HANDLES: &[&str] = &["CallHandle", "LegHandle", "TransferHandle", "BadHandle"];

/// Rooms that may wait: sockets, files, clocks, locks, Tokio.
const SHELL: &[&str] = &["driver", "api", "cli", "store"];

/// Crates without a clock, a socket or a task: any room.
const CORE_CRATES: &[&str] = &[
    "bytes",
    "compact_str",
    "md5",
    "memchr",
    "rsip",
    "sdp_types",
    "serde",
    "sha2",
    "siphasher",
    "slab",
    "subtle",
    "thiserror",
    "tracing",
];

/// `(room, crate)`: what else a room outside the shell may name.
const EXTRA_CRATES: &[(&str, &str)] = &[
    ("engine", "regex"),
    ("config", "regex"),
    ("config", "toml"),
    ("observe", "metrics"),
    ("observe", "metrics_exporter_prometheus"),
    ("observe", "serde_json"),
    ("observe", "tracing_subscriber"),
];

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
        .map(|(file, text)| {
            let module = module_path(file);
            (file.as_str(), module.clone(), scan(text, &module))
        })
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
                "say in ARCHITECTURE's table where it belongs, then add it to ROOMS in tests/layering.rs",
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

/// Imports go one way.
fn room_imported(room: &str, may_name: &[&str], path: &[&str]) -> Option<(String, &'static str)> {
    let ["crate", other, items @ ..] = path else {
        return None;
    };
    // A path to an item of the crate root starts with no room and is not ours to judge.
    if *other == room || !ROOMS.iter().any(|(name, _)| name == other) {
        return None;
    }
    if !may_name.contains(other) {
        let hint = "imports go one way: return a value or an event upward, or move the shared type to the lower room";
        return Some((format!("`{room}` imports `{other}`"), hint));
    }
    let item = items.first()?;
    (HANDLES_ONLY.contains(&(room, *other)) && !HANDLES.contains(item)).then(|| {
        (
            format!("`{room}` imports `{other}::{item}`"),
            "this room knows handles only: ask by Command, learn by Event",
        )
    })
}

/// Sockets, files, the process, and the crates that wait for them.
fn outside_touched(room: &str, path: &[&str], crates: &BTreeSet<String>) -> Option<(String, &'static str)> {
    if SHELL.contains(&room) {
        return None;
    }
    let full = path.join("::");
    match path {
        ["std", "fs" | "process" | "env", ..]
        | ["std", "net", "UdpSocket" | "TcpStream" | "TcpListener" | "*", ..]
        | ["std", "os", "unix", ..] => Some((
            format!("`{room}` names `{full}`"),
            "only driver, api, cli and store touch sockets, files and the process: describe the effect as an Output",
        )),
        [name, ..]
            if crates.contains(*name) && !CORE_CRATES.contains(name) && !EXTRA_CRATES.contains(&(room, *name)) =>
        {
            Some((
                format!("`{room}` names the crate `{name}`"),
                "the core never waits: leave it to the shell, or say in EXTRA_CRATES why this room needs it",
            ))
        }
        _ => None,
    }
}

/// Clocks, sleep and locks.
fn clock_or_lock(room: &str, path: &[&str]) -> Option<(String, &'static str)> {
    if SHELL.contains(&room) {
        return None;
    }
    let holds = |pair: [&str; 2]| path.windows(2).any(|two| two == pair);
    if holds(["Instant", "now"]) || holds(["thread", "sleep"]) || path.contains(&"SystemTime") {
        return Some((
            format!("`{room}` reads the clock or sleeps: `{}`", path.join("::")),
            "time is an argument: take `now: Instant`, and return the next deadline from poll_timeout",
        ));
    }
    path.iter()
        .any(|part| ["Mutex", "RwLock", "Condvar"].contains(part))
        .then(|| {
            (
                format!("`{room}` locks: `{}`", path.join("::")),
                "one owner, others hold a handle: events rise as return values, commands descend as calls",
            )
        })
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

mod the_rules {
    use super::*;

    fn findings(file: &str, text: &str) -> Vec<String> {
        let crates = ["tokio", "bytes", "regex"].map(str::to_owned).into_iter().collect();
        let found = check(&[(file.to_owned(), text.to_owned())], &crates);
        found
            .iter()
            .map(|finding| format!("{}:{} {}", finding.file, finding.line, finding.rule))
            .collect()
    }

    #[test]
    fn catch_a_made_up_bad_file() {
        let bad = "
//! Not this one: use crate::engine::Engine;
use std::{fs, net::{SocketAddr, UdpSocket}};
use crate::{
    dialog::Dialog,
    leg::{self, Leg as L},
};
use tokio::net as sockets;
use bytes::Bytes;

fn nap() {
    let started = std::time::Instant::now();
    std::thread::sleep(super::super::call::NAP);
    let lock = std::sync::Mutex::new(());
    let text = \"crate::engine::Engine\"; // crate::driver
    let raw = r#\"crate::api::x \"quoted\" \"#;
}
";
        let expected = [
            "src/transport/nap.rs:3 `transport` names `std::fs`",
            "src/transport/nap.rs:3 `transport` names `std::net::UdpSocket`",
            "src/transport/nap.rs:5 `transport` imports `dialog`",
            "src/transport/nap.rs:6 `transport` imports `leg`",
            "src/transport/nap.rs:6 `transport` imports `leg`",
            "src/transport/nap.rs:8 `transport` names the crate `tokio`",
            "src/transport/nap.rs:12 `transport` reads the clock or sleeps: `std::time::Instant::now`",
            "src/transport/nap.rs:13 `transport` reads the clock or sleeps: `std::thread::sleep`",
            "src/transport/nap.rs:13 `transport` imports `call`",
            "src/transport/nap.rs:14 `transport` locks: `std::sync::Mutex::new`",
        ];
        assert_eq!(findings("src/transport/nap.rs", bad), expected);
    }

    #[test]
    fn let_a_good_file_pass() {
        let good = "
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use crate::sip::{Message, Method};
use super::flow::Flow;
fn lifetime<'a>(text: &'a str) -> char { if text.is_empty() { '\"' } else { '\\'' } }
#[cfg(test)]
mod tests {
    use crate::engine::Engine;
    fn now() { std::time::Instant::now(); }
}
";
        assert_eq!(findings("src/transport/via.rs", good), Vec::<String>::new());
    }

    #[test]
    fn leave_a_file_for_tests_alone_but_not_its_neighbour() {
        let source = |file: &str, text: &str| (file.to_owned(), text.to_owned());
        let sources = [
            source("src/leg/mod.rs", "#[cfg(test)]\nmod tests;\nmod hold;"),
            source("src/leg/tests.rs", "use crate::engine::Engine;"),
            source("src/leg/hold.rs", "use crate::engine::Engine;"),
        ];
        let found = check(&sources, &BTreeSet::new());
        assert_eq!(
            found.iter().map(|finding| &finding.file[..]).collect::<Vec<_>>(),
            ["src/leg/hold.rs"]
        );
    }

    #[test]
    fn count_super_from_the_module_it_stands_in() {
        let inside = "mod inner { use super::super::engine; } use super::super::engine;";
        assert_eq!(
            findings("src/sip/uri.rs", inside),
            ["src/sip/uri.rs:1 `sip` imports `engine`"]
        );
        assert_eq!(
            findings("src/sip/mod.rs", "use super::engine;"),
            ["src/sip/mod.rs:1 `sip` imports `engine`"]
        );
    }

    #[test]
    fn know_handles_from_other_items() {
        assert_eq!(
            findings("src/api/native.rs", "use crate::leg::LegHandle;"),
            Vec::<String>::new()
        );
        let found = findings("src/api/native.rs", "use crate::leg::{Leg, LegHandle};");
        assert_eq!(found, ["src/api/native.rs:1 `api` imports `leg::Leg`"]);
    }

    #[test]
    fn refuse_a_room_that_nobody_placed() {
        let found = findings("src/helpers/mod.rs", "//! Helpers");
        assert_eq!(
            found,
            ["src/helpers/mod.rs:1 `helpers` is a room that the table does not know"]
        );
    }
}
