//! The chain: every line carries the hash of the one before it, and its own.
//!
//! | key | |
//! |---|---|
//! | `number` | 1, 2, 3, … |
//! | `at` | RFC 3339, UTC |
//! | `what`, and others | what happened |
//! | `previous` | the hash of the line before; 64 zeros in the first |
//! | `hash` | SHA-256 of the line's octets up to this key, that is with `previous` in them |
//!
//! Whoever changes, takes out or puts in a line must write every later one anew; whoever has noted one hash elsewhere (the
//! last one is printed by `warmline audit`) notices that too. What is cut off at the end is noticed only by such a note.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What stands before the hash of a line.
const MARK: &str = ",\"hash\":\"";

/// The end of a chain, to which the next line is hung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    number: u64,
    last: String,
}

/// Why a file is no whole chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Broken {
    /// Counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain {
            number: 0,
            last: "0".repeat(64),
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    number: u64,
    at: &'a str,
    #[serde(flatten)]
    entry: &'a Value,
    previous: &'a str,
}

impl Chain {
    /// How many lines there are.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The hash of the last one.
    pub fn last(&self) -> &str {
        &self.last
    }

    /// The next line, without its line end. `entry` is an object; the chain goes on only when [`Chain::written`] says so.
    pub fn line(&self, at: &str, entry: &Value) -> String {
        let line = Line {
            number: self.number + 1,
            at,
            entry,
            previous: &self.last,
        };
        let mut text = serde_json::to_string(&line).unwrap_or_default();
        text.pop(); // the closing brace
        let hash = hash(&text);
        let _ = write!(text, "{MARK}{hash}\"}}"); // a String takes everything
        text
    }

    /// The line is in the file.
    pub fn written(&mut self, line: &str) {
        self.number += 1;
        self.last = split(line).map(|(_, hash)| hash.to_owned()).unwrap_or_default();
    }

    /// Takes a line that was read.
    ///
    /// # Errors
    /// When it does not follow the one before it, or is not what was written.
    pub fn follow(&mut self, line: &str) -> Result<(), Broken> {
        let broken = |why| Broken {
            line: self.number + 1,
            why,
        };
        let (text, said) = split(line).ok_or_else(|| broken("it is no line of an audit log, or was cut off"))?;
        if hash(text) != said {
            return Err(broken("it was changed: its hash is another one"));
        }
        let value: Value = serde_json::from_str(line).map_err(|_| broken("it is no JSON"))?;
        if value.get("previous").and_then(Value::as_str) != Some(&self.last) {
            return Err(broken(
                "it does not follow the line before it: one was taken out, put in or moved",
            ));
        }
        if value.get("number").and_then(Value::as_u64) != Some(self.number + 1) {
            return Err(broken("its number is not the next one"));
        }
        self.written(line);
        Ok(())
    }

    /// The chain of a whole file. A last line without its end, from a process that died while it wrote, is not part of it.
    ///
    /// # Errors
    /// The first line that is not in order.
    pub fn of(text: &str) -> Result<Chain, Broken> {
        let mut chain = Chain::default();
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        for line in whole.lines() {
            chain.follow(line)?;
        }
        Ok(chain)
    }
}

fn split(line: &str) -> Option<(&str, &str)> {
    let (text, rest) = line.rsplit_once(MARK)?;
    let hash = rest.strip_suffix("\"}")?;
    (hash.len() == 64 && hash.bytes().all(|octet| octet.is_ascii_hexdigit())).then_some((text, hash))
}

fn hash(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for octet in Sha256::digest(text) {
        let _ = write!(hex, "{octet:02x}"); // a String takes everything
    }
    hex
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn three() -> String {
        let mut chain = Chain::default();
        let mut text = String::new();
        for entry in [
            json!({"what": "started"}),
            json!({"what": "api", "path": "/v1/calls\",\"hash\":\"x"}),
            json!({}),
        ] {
            let line = chain.line("2026-11-20T17:00:00.000Z", &entry);
            chain.written(&line);
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    #[test]
    fn what_was_written_is_in_order_and_goes_on() {
        let mut chain = Chain::of(&three()).unwrap();
        assert_eq!(chain.number(), 3);
        let line = chain.line("2026-11-20T17:00:01.000Z", &json!({"what": "stopped"}));
        assert_eq!(chain.follow(&line), Ok(()));
    }

    #[test]
    fn every_change_is_found_at_its_line() {
        let text = three();
        let lines: Vec<&str> = text.lines().collect();
        let broken = |lines: &[&str]| Chain::of(&(lines.join("\n") + "\n")).unwrap_err().line;
        assert_eq!(broken(&[lines[0], lines[2]]), 2, "taken out");
        assert_eq!(broken(&[lines[0], lines[0], lines[1]]), 2, "repeated");
        assert_eq!(broken(&[lines[1], lines[0], lines[2]]), 1, "moved");
        assert_eq!(broken(&[lines[0], "{}", lines[1]]), 2, "put in");
        let changed = lines[1].replace("/v1/calls", "/v1/users");
        assert_eq!(broken(&[lines[0], &changed, lines[2]]), 2, "changed");
        for at in 0..text.len() - 1 {
            let mut octets = text.clone().into_bytes();
            octets[at] ^= 1;
            let Ok(flipped) = String::from_utf8(octets) else {
                continue;
            };
            assert!(Chain::of(&flipped).is_err(), "octet {at}: {flipped}");
        }
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out() {
        let text = three();
        let cut = text.get(..text.len() - 20).unwrap();
        assert_eq!(Chain::of(cut).unwrap().number(), 2);
        assert_eq!(Chain::of(&text).unwrap().number(), 3);
        assert_eq!(Chain::of("").unwrap(), Chain::default());
    }
}
