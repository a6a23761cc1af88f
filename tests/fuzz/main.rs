//! Hostile input in plain `cargo test`: every file of `tests/fuzz/corpus` and mutations of them, by the functions of
//! `targets/`, which the coverage-guided engine uses as well (`tests/fuzz/run`). What it found once is a file of the corpus.
//!
//! ```text
//! WARMLINE_FUZZ_FILE=crash-1 WARMLINE_FUZZ_TARGET=wire cargo test --test fuzz one_file -- --nocapture
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where something is not as it should be"
)]

mod seeds;
mod targets;
#[path = "../world/mod.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use targets::Target;
use world::people::{Dice, Seeded};

/// Mutations of a file of the corpus.
const MUTATIONS: u64 = 6;

fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target.name);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 3, "{} has no corpus", target.name);
    files
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

fn survives(target: &Target, octets: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(octets))).is_err() {
        let kept = std::env::temp_dir().join(format!("warmline-fuzz-{}", target.name));
        std::fs::write(&kept, octets).unwrap();
        panic!("{} fails on {what}, kept as {}", target.name, kept.display());
    }
}

/// Every file as it is, and some changes of each: the same ones every time.
fn search(name: &str) {
    let target = targets::named(name).unwrap();
    let corpus = corpus(&target);
    let mut dice = Seeded(42);
    for (path, octets) in &corpus {
        survives(&target, octets, &path.display().to_string());
        for number in 0..MUTATIONS {
            let other = &corpus[dice.throw(corpus.len() as u64) as usize].1;
            let mutated = mutated(octets, other, &mut dice);
            survives(&target, &mutated, &format!("mutation {number} of {}", path.display()));
        }
    }
}

fn mutated(octets: &[u8], other: &[u8], dice: &mut Seeded) -> Vec<u8> {
    let mut changed = octets.to_vec();
    for _ in 0..=dice.throw(4) {
        let at = dice.throw(changed.len() as u64 + 1) as usize;
        let length = dice.throw(16) as usize;
        let end = (at + length).min(changed.len());
        match dice.throw(5) {
            0 => {
                if let Some(octet) = changed.get_mut(at) {
                    *octet ^= 1 << dice.throw(8);
                }
            }
            1 => drop(changed.drain(at..end)),
            2 => {
                let copy = changed[at..end].to_vec();
                changed.splice(at..at, copy);
            }
            3 => {
                let from = dice.throw(other.len() as u64 + 1) as usize;
                let until = (from + 4 * length).min(other.len());
                changed.splice(at..end, other[from..until].iter().copied());
            }
            _ => changed.insert(at, dice.pick(b"\0\xff\r\n:;,=<>\"@?%[]{}0129azAZ \t")),
        }
    }
    changed
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            search(stringify!($name));
        })*

        #[test]
        fn every_target_is_searched() {
            assert_eq!(targets::names(), [$(stringify!($name)),*]);
        }
    };
}

targets!(wire values sdp framing websocket media api config stored programs);

/// One input of one target, named by the environment.
#[test]
fn one_file() {
    let (Ok(file), Ok(name)) = (
        std::env::var("WARMLINE_FUZZ_FILE"),
        std::env::var("WARMLINE_FUZZ_TARGET"),
    ) else {
        return;
    };
    let target = targets::named(&name).unwrap();
    assert!(target.longest > 0);
    (target.run)(&std::fs::read(file).unwrap());
}

/// Writes the first inputs of every target into a folder: what an engine that looks at coverage begins with.
#[test]
fn first_inputs() {
    if let Ok(folder) = std::env::var("WARMLINE_FUZZ_SEEDS") {
        seeds::write(Path::new(&folder));
    }
}
