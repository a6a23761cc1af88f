//! Nodes die, come back, and leave.

use warmline::cluster::Input;

use super::cells::{Cell, cells};
use super::sim::{LEASE, Note, Sim, Way, millis, seconds};

/// Three nodes, a call at each.
fn three(way: Way) -> (Sim, Vec<Cell>) {
    let mut sim = Sim::new(3, way);
    sim.boot_all();
    let cells = cells(&mut sim, 3);
    for cell in &cells {
        cell.call(&mut sim);
    }
    (sim, cells)
}

fn all_answer(sim: &mut Sim, cells: &[Cell]) {
    for cell in cells {
        cell.answers(sim);
    }
}

#[test]
fn a_dead_node_s_calls_go_on_at_a_survivor() {
    for way in [Way::Takeover, Way::Balancer] {
        let (mut sim, cells) = three(way);
        sim.kill(1);
        let after = sim
            .until(seconds(5), |sim| sim.server_of(1).is_some())
            .expect("somebody takes over");
        println!("{way:?}: taken over after {after:?}");
        assert!(after <= seconds(3), "{after:?}");
        all_answer(&mut sim, &cells);
        Cell::end_all(&mut sim, &cells);
    }
}

#[test]
fn a_request_in_the_gap_is_kept_and_answered_by_who_takes_over() {
    let (mut sim, cells) = three(Way::Balancer);
    sim.kill(1);
    sim.advance(millis(50));
    // It arrives when the owner is dead and nobody else has it yet; the phone asks again only seconds later.
    cells[1].answers(&mut sim);
    assert!(sim.traffic.kept > 0);
    Cell::end_all(&mut sim, &cells);
}

#[test]
fn a_node_that_comes_back_gets_another_number_and_its_old_calls_stay_where_they_are() {
    for way in [Way::Takeover, Way::Balancer] {
        let (mut sim, cells) = three(way);
        sim.kill(1);
        sim.advance(seconds(4));
        let survivor = sim.server_of(1).expect("taken over");
        sim.boot(1);
        sim.advance(seconds(4));
        assert_eq!(sim.server_of(1), Some(survivor));
        assert!(sim.process(1).home().is_some_and(|home| home != 1));
        let before = sim.traffic;
        all_answer(&mut sim, &cells);
        assert!(
            sim.traffic.forwarded > before.forwarded,
            "its address is its own again, its calls are not"
        );
        // New calls begin at the node that came back.
        for phone in cells[1].phones() {
            sim.at(phone, |phone, now| phone.register(now));
        }
        sim.advance(seconds(1));
        cells[1].warm(&mut sim);
        assert!(sim.process(1).dialogs() >= 2);
        all_answer(&mut sim, &cells);
        Cell::end_all(&mut sim, &cells);
    }
}

#[test]
fn a_process_that_is_restarted_at_once_takes_its_own_number_again() {
    let (mut sim, cells) = three(Way::Takeover);
    sim.kill(1);
    sim.advance(millis(300));
    sim.boot(1);
    let after = sim
        .until(seconds(4), |sim| sim.server_of(1).is_some())
        .expect("it is taken over");
    assert!(after <= seconds(3), "{after:?}");
    assert_eq!(sim.server_of(1), Some(1), "it stands where the dead one stood");
    all_answer(&mut sim, &cells);
    Cell::end_all(&mut sim, &cells);
}

#[test]
fn two_at_once_and_then_whoever_took_over() {
    for way in [Way::Takeover, Way::Balancer] {
        let mut sim = Sim::new(5, way);
        sim.boot_all();
        let cells = cells(&mut sim, 5);
        for cell in &cells {
            cell.call(&mut sim);
        }
        sim.kill(0);
        sim.kill(1);
        sim.advance(seconds(4));
        let next = sim.server_of(0).expect("taken over");
        assert!(sim.server_of(1).is_some());
        all_answer(&mut sim, &cells);
        sim.kill(next);
        sim.advance(seconds(4));
        for node in 0..5 {
            assert!(sim.server_of(node).is_some(), "node {node}");
        }
        all_answer(&mut sim, &cells);
        Cell::end_all(&mut sim, &cells);
    }
}

#[test]
fn who_leaves_in_order_is_followed_without_waiting_for_the_lease() {
    let (mut sim, cells) = three(Way::Balancer);
    sim.tell(1, Input::Ending);
    sim.advance(millis(5));
    sim.kill(1);
    let after = sim
        .until(seconds(4), |sim| sim.server_of(1).is_some())
        .expect("somebody takes over");
    assert!(after < LEASE * 3 / 4, "{after:?}");
    assert_eq!(sim.traffic.pings, 0);
    all_answer(&mut sim, &cells);
    Cell::end_all(&mut sim, &cells);
}

#[test]
fn a_message_at_the_wrong_node_reaches_its_owner() {
    let (mut sim, cells) = three(Way::Balancer);
    for phone in cells[0].phones() {
        sim.detour.insert(phone, 2);
    }
    let before = sim.traffic;
    cells[0].answers(&mut sim);
    assert!(sim.traffic.forwarded > before.forwarded);
    assert!(sim.notes.iter().all(|(_, note)| !matches!(note, Note::Fenced { .. })));
    Cell::end_all(&mut sim, &cells);
}
