//! The cluster in virtual time: real engines with real dialogs under up to a hundred virtual nodes, a store with faults,
//! links, phones (issue 6 §1 "Several nodes" and §4).
//!
//! After every fault the same is asked: each token has had one holder, every confirmed dialog answers a request, each
//! transfer is done or undone, and when everybody has hung up nothing is left in any process or in the store.
//!
//! | file | what |
//! |---|---|
//! | `deaths` | a node dies, two do, whoever took over does; it comes back; it leaves in order; the wrong node is reached |
//! | `faults` | the store is gone, slow, read-only, empty; a node loses the store, or everything |
//! | `transfers` | a node dies at any moment of a transfer |
//! | `hundred` | a hundred nodes, of which twenty die |
//! | `random` | programs of all of these |
//! | `cost` | what 1, 10 and 100 nodes ask of the store and of each other |
//!
//! ```text
//! cargo test --test cluster -- --nocapture       # with the figures
//! ```

#[path = "cluster/cells.rs"]
mod cells;
#[path = "cluster/cost.rs"]
mod cost;
#[path = "cluster/deaths.rs"]
mod deaths;
#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/hundred.rs"]
mod hundred;
#[path = "cluster/process.rs"]
mod process;
#[path = "cluster/random.rs"]
mod random;
#[path = "cluster/sim.rs"]
mod sim;
#[path = "cluster/store.rs"]
mod store;
#[path = "cluster/transfers.rs"]
mod transfers;
