//! What is searched for in hostile input: one function for each target, which panics when something is wrong.
//!
//! The engine that makes the octets is not known here. `tests/fuzz/main.rs` gives the committed corpus and plain mutations of
//! it to the same functions in `cargo test`; `tests/fuzz/engine` is libFuzzer with coverage guidance.

mod api;
mod configuration;
mod framing;
mod media;
mod octets;
mod programs;
mod sdp;
mod stored;
mod values;
mod websocket;
mod wire;

/// One target.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// As `--target` and the corpus' folder name it.
    pub(crate) name: &'static str,
    /// The longest input that is worth the time; `tests/fuzz/run` reads it here.
    #[allow(dead_code, reason = "the engine that looks at coverage is told by its arguments")]
    pub(crate) longest: usize,
    /// Panics when the input shows a defect.
    pub(crate) run: fn(&[u8]),
}

const fn target(name: &'static str, longest: usize, run: fn(&[u8])) -> Target {
    Target { name, longest, run }
}

/// All of them.
pub(crate) const ALL: [Target; 10] = [
    target("wire", 4_096, wire::run),
    target("values", 1_024, values::run),
    target("sdp", 4_096, sdp::run),
    target("framing", 4_096, framing::run),
    target("websocket", 2_048, websocket::run),
    target("media", 2_048, media::run),
    target("api", 2_048, api::run),
    target("config", 4_096, configuration::run),
    target("stored", 4_096, stored::run),
    target("programs", 512, programs::run),
];

/// The target of this name.
pub(crate) fn named(name: &str) -> Option<Target> {
    ALL.into_iter().find(|target| target.name == name)
}

/// What [`named`] knows.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.into_iter().map(|target| target.name).collect()
}
