//! Made-up files, bad and good: the rules are worth what they catch.

use std::collections::BTreeSet;

use super::check;

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
        source(
            "src/leg/refer.rs",
            "#[cfg(test)]\n#[path = \"refer_tests.rs\"]\nmod tests;",
        ),
        source("src/leg/refer_tests.rs", "use crate::engine::Engine;"),
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
        findings("src/media/relay.rs", "use crate::vocabulary::LegHandle;"),
        Vec::<String>::new()
    );
    let found = findings("src/media/relay.rs", "use crate::vocabulary::{Event, LegHandle};");
    assert_eq!(found, ["src/media/relay.rs:1 `media` imports `vocabulary::Event`"]);
}

#[test]
fn refuse_a_room_that_nobody_placed() {
    let found = findings("src/helpers/mod.rs", "//! Helpers");
    assert_eq!(
        found,
        ["src/helpers/mod.rs:1 `helpers` is a room that the table does not know"]
    );
}
