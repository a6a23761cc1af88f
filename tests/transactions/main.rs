//! Transactions in virtual time: two layers, a network that loses, doubles and delays, and ladders to read.
//!
//! `>` is the caller's side, `<` the callee's; the number is milliseconds since the start.

#![expect(clippy::unwrap_used, reason = "a harness that fails is a failed test")]

mod cancel;
mod chaos;
mod invite;
mod matching;
mod other;
mod wire;
