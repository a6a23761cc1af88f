//! The node dies at any moment of a transfer, and the survivor completes it or takes it back.

use super::cells::{Cell, cells, live};
use super::sim::{Sim, Way, millis, seconds};

/// Kills the transfer's node this long after the REFER; says whether the transfer was done.
fn killed_after(way: Way, attended: bool, after: std::time::Duration) -> bool {
    let mut sim = Sim::new(3, way);
    sim.durable = true;
    sim.boot_all();
    let cells = cells(&mut sim, 3);
    let cell = cells[1];
    cell.call(&mut sim);
    if attended {
        cell.warm(&mut sim);
        cell.refer_attended(&mut sim);
    } else {
        cell.refer(&mut sim);
    }
    sim.advance(after);
    sim.kill(1);
    sim.advance(seconds(12));
    let calls = cell.phones().map(|phone| live(&sim, phone).len());
    let done = match (attended, calls) {
        (_, [0, 1, 1]) => true,
        (true, [2, 1, 1]) | (false, [1, 1, 0]) => false,
        _ => panic!("{way:?} killed after {after:?}: live calls {calls:?}"),
    };
    cell.answers(&mut sim);
    Cell::end_all(&mut sim, &cells);
    done
}

fn sweep(way: Way, attended: bool) -> (usize, usize) {
    let outcomes: Vec<bool> = (0..24).map(|n| killed_after(way, attended, millis(3 * n))).collect();
    let done = outcomes.iter().filter(|done| **done).count();
    println!(
        "{way:?}, attended {attended}: {done} done, {} undone",
        outcomes.len() - done
    );
    (done, outcomes.len() - done)
}

#[test]
fn an_attended_transfer_whose_node_dies_is_done_or_undone() {
    for way in [Way::Takeover, Way::Balancer] {
        let (done, _) = sweep(way, true);
        assert!(done > 5, "{done}");
    }
}

#[test]
fn a_blind_transfer_whose_node_dies_is_done_or_undone() {
    for way in [Way::Takeover, Way::Balancer] {
        let (done, undone) = sweep(way, false);
        assert!(done > 2 && undone > 2, "{done} {undone}");
    }
}
