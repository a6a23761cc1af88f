//! The cluster in virtual time: real engines with real dialogs under up to a hundred virtual nodes, a store with faults,
//! links, phones (issue 6 §1 "Several nodes" and §4).
//!
//! After every fault the same is asked: each token has had one holder, every confirmed dialog answers a request, each
//! transfer is done or undone, and when everybody has hung up nothing is left in any process or in the store.

#![allow(dead_code, reason = "each test uses its own part of the harness")]

#[path = "cluster/cells.rs"]
mod cells;
#[path = "cluster/process.rs"]
mod process;
#[path = "cluster/sim.rs"]
mod sim;
#[path = "cluster/store.rs"]
mod store;

use cells::{Cell, cells};
use sim::{LEASE, Note, Sim, Way, millis, seconds};

#[test]
fn a_dead_node_s_calls_go_on_at_a_survivor() {
    for way in [Way::Takeover, Way::Balancer] {
        let mut sim = Sim::new(3, way);
        sim.boot_all();
        let cells = cells(&mut sim, 3);
        for cell in &cells {
            cell.call(&mut sim);
        }
        sim.kill(1);
        let after = sim
            .until(seconds(5), |sim| sim.server_of(1).is_some())
            .expect("somebody takes over");
        println!("{way:?}: taken over after {after:?}");
        assert!(after <= seconds(3), "{after:?}");
        for cell in &cells {
            cell.answers(&mut sim);
        }
        Cell::end_all(&mut sim, &cells);
    }
}
