//! The tables of ARCHITECTURE §3, and what breaks them.

use std::collections::BTreeSet;

/// A room, and the rooms that it may name.
pub(crate) const ROOMS: &[(&str, &[&str])] = &[
    ("sip", &[]),
    ("sdp", &["sip"]),
    ("phone", &["sip", "sdp"]),
    ("vocabulary", &["sip", "sdp"]),
    ("transport", &["sip", "sdp"]),
    ("transaction", &["sip", "sdp", "transport"]),
    ("dialog", &["sip", "sdp", "transport", "transaction"]),
    (
        "leg",
        &[
            "sip",
            "sdp",
            "transport",
            "transaction",
            "dialog",
            "vocabulary",
            "media",
        ],
    ),
    ("media", &["sdp", "vocabulary"]),
    (
        "call",
        &["sip", "sdp", "transport", "transaction", "dialog", "vocabulary", "leg"],
    ),
    ("transfer", ABOVE_CALL),
    ("registrar", ABOVE_CALL),
    ("proxy", ABOVE_CALL),
    ("engine", BELOW_ENGINE),
    ("cluster", &["sip", "dialog"]),
    ("store", WITH_CLUSTER),
    ("config", WITH_CLUSTER),
    ("api", &["engine", "vocabulary", "config", "sip"]),
    ("observe", WITH_CLUSTER),
    (
        "driver",
        &[
            "api",
            "cluster",
            "config",
            "observe",
            "store",
            "media",
            "engine",
            "vocabulary",
            "transport",
            "sip",
        ],
    ),
    (
        "cli",
        &[
            "driver",
            "api",
            "cluster",
            "config",
            "observe",
            "phone",
            "store",
            "engine",
            "vocabulary",
            "transport",
            "sip",
            "sdp",
        ],
    ),
    ("manual", &[]),
];

const ABOVE_CALL: &[&str] = &[
    "sip",
    "sdp",
    "transport",
    "transaction",
    "dialog",
    "vocabulary",
    "leg",
    "call",
];
#[rustfmt::skip]
const BELOW_ENGINE: &[&str] = &[
    "sip", "sdp", "transport", "transaction", "dialog", "vocabulary", "leg", "media", "call", "transfer", "registrar", "proxy",
];
#[rustfmt::skip]
const WITH_CLUSTER: &[&str] = &[
    "sip", "sdp", "transport", "transaction", "dialog", "vocabulary", "leg", "media", "call", "transfer", "registrar", "proxy", "engine", "cluster",
];

/// `(room, imported room)` where only handles may be named.
const HANDLES_ONLY: &[(&str, &str)] = &[("media", "vocabulary")];
const HANDLES: &[&str] = &[
    "AudienceHandle",
    "CallHandle",
    "LegHandle",
    "TransferHandle",
    "BadHandle",
];

/// Rooms that may wait: sockets, files, clocks, locks, Tokio.
const SHELL: &[&str] = &["driver", "api", "cli", "store"];

/// Crates without a clock, a socket or a task: any room.
const CORE_CRATES: &[&str] = &[
    "base64",
    "bytes",
    "compact_str",
    "hmac",
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
    ("media", "aes"),
    ("media", "ctr"),
    ("media", "hmac"),
    ("media", "ring"),
    ("media", "rtc_dtls"),
    ("media", "rtc_shared"),
    ("media", "sha1"),
    ("engine", "regex"),
    ("media", "ezk_g722"),
    ("media", "ropus"),
    ("media", "rubato"),
    ("media", "symphonia"),
    ("config", "regex"),
    ("config", "toml"),
    ("observe", "metrics"),
    ("observe", "metrics_exporter_prometheus"),
    ("observe", "serde_json"),
    ("registrar", "serde_json"),
    ("observe", "tracing_subscriber"),
];

/// Imports go one way.
pub(crate) fn room_imported(room: &str, may_name: &[&str], path: &[&str]) -> Option<(String, &'static str)> {
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
pub(crate) fn outside_touched(room: &str, path: &[&str], crates: &BTreeSet<String>) -> Option<(String, &'static str)> {
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
        // A name alone is a field or a local (`ring: true`); a crate's items are named behind it.
        [name, _, ..]
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
pub(crate) fn clock_or_lock(room: &str, path: &[&str]) -> Option<(String, &'static str)> {
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
