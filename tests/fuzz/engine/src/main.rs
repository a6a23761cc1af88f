//! libFuzzer around one of the targets, named by `WARMLINE_FUZZ_TARGET`. What is searched for is in `../targets`, so that
//! another engine needs another file like this one and nothing else.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../targets/mod.rs"]
mod targets;
#[path = "../../../world/mod.rs"]
mod world;

fn target() -> targets::Target {
    static TARGET: OnceLock<targets::Target> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let name = std::env::var("WARMLINE_FUZZ_TARGET").unwrap_or_default();
        targets::named(&name).unwrap_or_else(|| panic!("WARMLINE_FUZZ_TARGET must be one of {:?}", targets::names()))
    })
}

fuzz_target!(|octets: &[u8]| (target().run)(octets));
