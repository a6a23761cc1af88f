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

/// The operator has a call at each of two nodes, and joins them by the Contact of the consult's call, as RFC 5589 §7.3 has it:
/// that names its node.
#[test]
fn an_attended_transfer_of_calls_at_two_nodes() {
    let mut sim = Sim::new(3, Way::Balancer);
    sim.boot_all();
    let cells = cells(&mut sim, 3);
    let cell = cells[1];
    // The customer's call comes in by another node, where all three are known as well.
    for phone in cell.phones() {
        sim.detour.insert(phone, 2);
        sim.at(phone, |phone, now| phone.register(now));
    }
    sim.advance(seconds(1));
    cell.call(&mut sim);
    sim.detour.clear();
    cell.warm(&mut sim);
    let dialogs = |sim: &Sim| [1, 2].map(|host| sim.process(host).dialogs());
    assert_eq!(dialogs(&sim), [2, 2], "a call at each");
    cell.refer_attended(&mut sim);
    sim.advance(seconds(6));
    let calls = cell.phones().map(|phone| live(&sim, phone).len());
    assert_eq!(calls, [0, 1, 1], "the customer talks with the consult");
    assert_eq!(dialogs(&sim), [2, 2], "over a dialog between two nodes");
    cell.answers(&mut sim);
    // It outlives the death of either.
    sim.kill(2);
    sim.advance(seconds(4));
    cell.answers(&mut sim);
    Cell::end_all(&mut sim, &cells);
}
