//! The manual: what this edge does, written for the people who run it and for those who change it.
//!
//! - [`transfers`]: how a call is handed over, in which order, and what happens when somebody hangs up in the middle.
//! - [`media`]: where a call's packets go, whom the edge believes, what is heard on hold.
//! - [`coverage`]: which sections of which RFC stand in this version, and which do not.
//! - [`scale`]: how many nodes share the work, what the store carries for them, what fails first.
//! - [`decisions`]: what was decided where the plan left it open, and why.
//!
//! It holds no code and imports nothing: a page that only describes cannot break a build.

pub mod coverage;
pub mod decisions;
pub mod media;
pub mod scale;
pub mod transfers;
