//! One leg and its party: session timers, early dialogs, reliable provisionals, UPDATE, challenges, hidden identifiers.

#[path = "../world/mod.rs"]
mod world;

mod challenge;
mod delayed;
mod early;
mod holds;
mod prack;
mod timers;
mod trunk;
mod update;
