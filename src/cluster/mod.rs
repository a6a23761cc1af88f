//! Several nodes: who serves which number, who takes over from whom, and whose a message is.
//!
//! **Owns** the decision and nothing else: [`Membership`] is told what the store, the peers and the clock say, and says
//! what to ask, whom to ping, which engine to run and which to drop. **Refuses** to open a connection, to read a clock, to
//! know how the store keeps a claim, and to touch a call: the driver performs it against Redis and sockets, the simulator
//! (`tests/cluster.rs`) against a virtual store and a hundred virtual nodes.
//!
//! **RFC sections**: RFC 3261 §12.2.2 (a UAS that crashed and is restarted, or whoever stands in for it, may go on with a
//! dialog that it recognises by its tag), §16.11 and §17 (a transaction stays with the element that began it).
//!
//! A **node** is a number that stands in dialog tags; a process **holds** it by a claim in the store, under a **fencing
//! token** that only grows. A process may hold several: the **home** number of its new calls, and those that it adopted.
//! The store refuses a write that shows an old token, so it never matters who *believes* to hold a number.
//!
//! # What becomes of a number of ours
//!
//! | in the state | when | then |
//! |---|---|---|
//! | no home | everything was looked at | claim the wanted number if nobody has it, else a free one of the pool |
//! | claiming | won | serve it with whatever records stand under it; tell everybody |
//! | | lost | the next free one |
//! | | nobody knows (the store failed) | look; a claim that was granted after all is ours |
//! | held | a quarter of a lease went by | renew, all numbers in one question |
//! | held | the store refuses a write or a renewal; a peer or the store shows a higher token | **fenced**: drop the engine, say nothing; if it was the home, find another |
//! | held, adopted | it has no leg left | release |
//! | held | the process ends | release, with or without records left under it |
//!
//! # What becomes of a number of others
//!
//! | in the state | when | then |
//! |---|---|---|
//! | alive | its beat stands still for half a lease; the link to it broke | ping it |
//! | | it was given up with records under it; or it is of the process before this one, at the same address, and its beat stands still for half a lease | due at once |
//! | pinged | it answers | alive: it may have lost the store and not its calls |
//! | | it is silent for a quarter of a lease | silent |
//! | silent | its beat stands still for a lease | due, at a moment of this process's own |
//! | due | the moment has come | claim it, if the token is still the one that was seen |
//! | claiming | won | adopted: serve it |
//! | | lost | somebody else's: alive |
//! | any | another beat, a higher token | alive |
//! | any | the store failed or was away | alive: what was observed says nothing, because nobody could renew |
//!
//! Time counts from the answer that first showed a beat to the sending of the last question that still showed it. The
//! store's clock has no part, nor has anybody's wall clock. The moment is the lot of each survivor: the first
//! three watch the number (one question each quarter of a lease), a quarter of a lease lies between them, and another
//! number has others. A look at everything finds what all three watchers took with them.
//!
//! ```
//! use std::time::Instant;
//! use warmline::cluster::{Card, Held, Holder, Input, Membership, Output, StoreAnswer, StoreOrder, Terms};
//!
//! let now = Instant::now(); // the host's clock; the machine has none
//! let link = "192.0.2.1:7060".parse().unwrap();
//! let me = Card { holder: Holder(0x5eed), link };
//! let listeners = vec!["192.0.2.1:5060".parse().unwrap()];
//! let mut membership = Membership::new(Terms { wanted: Some(7), listeners, ..Terms::default() }, me, now);
//! membership.handle_timeout(now);
//! let mut served = None;
//! while let Some(output) = membership.poll_output() {
//!     match output {
//!         Output::Store { id, order } => {
//!             // An empty store: nobody is there, and whoever claims wins.
//!             let answer = match order {
//!                 StoreOrder::Renew { .. } => StoreAnswer::Renewed { refused: vec![], seen: vec![] },
//!                 StoreOrder::Look => StoreAnswer::Looked(vec![]),
//!                 StoreOrder::Claim { node, .. } => StoreAnswer::Won(Held { node, token: 1 }),
//!                 StoreOrder::Release { .. } => StoreAnswer::Released,
//!             };
//!             membership.handle_input(now, Input::Answered { id, answer });
//!         }
//!         Output::Serve { held, home: true, .. } => served = Some(held),
//!         _ => {}
//!     }
//! }
//! assert_eq!(served, Some(Held { node: 7, token: 1 }));
//! ```

mod membership;
mod peers;
mod whereto;
mod words;

pub use membership::{Membership, Place};
pub use peers::WATCHERS;
pub use whereto::{Whereto, named};
pub use words::*;

#[cfg(test)]
mod tests;
