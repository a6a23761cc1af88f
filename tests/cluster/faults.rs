//! The store fails in every way, and nodes lose it, or each other.

use warmline::cluster::Alarm;

use super::cells::{Cell, cells};
use super::sim::{LEASE, Note, Sim, Way, millis, seconds};
use super::store::Health;

fn three() -> (Sim, Vec<Cell>) {
    three_that(false)
}

/// Whether messages wait until the store has what came before them (`durability = "confirmed"`).
fn three_that(durable: bool) -> (Sim, Vec<Cell>) {
    let mut sim = Sim::new(3, Way::Balancer);
    sim.durable = durable;
    sim.boot_all();
    let cells = cells(&mut sim, 3);
    for cell in &cells {
        cell.call(&mut sim);
    }
    (sim, cells)
}

/// How often this was noted since the beginning.
fn noted(sim: &Sim, wanted: impl Fn(&Note) -> bool) -> usize {
    sim.notes.iter().filter(|(_, note)| wanted(note)).count()
}

/// Numbers taken over, and lost.
fn changes(sim: &Sim) -> usize {
    noted(sim, |note| match note {
        Note::Served { home, .. } => !home,
        Note::Fenced { .. } => true,
        Note::Released { .. } | Note::Alarm { .. } => false,
    })
}

fn alarms(sim: &Sim, wanted: impl Fn(&Alarm) -> bool) -> usize {
    noted(sim, |note| matches!(note, Note::Alarm { alarm, .. } if wanted(alarm)))
}

#[test]
fn calls_go_on_without_the_store_and_it_learns_everything_afterwards() {
    for health in [Health::Gone, Health::ReadOnly] {
        let (mut sim, cells) = three();
        sim.store.health = health;
        sim.advance(seconds(20));
        // Held, resumed, a new call: all without the store.
        for cell in &cells {
            cell.answers(&mut sim);
            cell.warm(&mut sim);
        }
        assert_eq!(changes(&sim), 0, "{health:?}: {:?}", sim.notes);
        assert_eq!(alarms(&sim, |alarm| *alarm == Alarm::StoreUnreachable), 3);
        let queued: usize = (0..3).map(|host| sim.process(host).queued()).sum();
        assert!(queued > 0, "new state waits");
        sim.store.health = Health::Well;
        sim.advance(seconds(5));
        assert_eq!(alarms(&sim, |alarm| matches!(alarm, Alarm::StoreBack { .. })), 3);
        assert_eq!((0..3).map(|host| sim.process(host).queued()).sum::<usize>(), 0);
        assert_eq!(changes(&sim), 0, "{health:?}");
        // What the store learned is enough to go on with.
        sim.kill(2);
        sim.advance(seconds(4));
        for cell in &cells {
            cell.answers(&mut sim);
        }
        Cell::end_all(&mut sim, &cells);
    }
}

#[test]
fn who_dies_while_the_store_is_gone_is_taken_over_when_it_is_back() {
    let (mut sim, cells) = three();
    sim.store.health = Health::Gone;
    sim.advance(seconds(3));
    sim.kill(1);
    sim.advance(seconds(15));
    assert_eq!(changes(&sim), 0);
    sim.store.health = Health::Well;
    let after = sim
        .until(seconds(6), |sim| sim.server_of(1).is_some())
        .expect("taken over");
    assert!(
        after >= LEASE * 3 / 4,
        "nobody could renew: the lease begins anew ({after:?})"
    );
    assert!(after <= seconds(4), "{after:?}");
    sim.advance(millis(100));
    assert_eq!(changes(&sim), 1, "and nobody else is");
    for cell in &cells {
        cell.answers(&mut sim);
    }
    Cell::end_all(&mut sim, &cells);
}

#[test]
fn a_slow_store_makes_nobody_look_dead_and_the_dead_are_found() {
    let (mut sim, cells) = three();
    sim.store_latency = seconds(1); // there and back: 2 s, a whole lease
    sim.advance(seconds(60));
    assert_eq!(changes(&sim), 0, "{:?}", sim.notes);
    assert_eq!(
        alarms(&sim, |alarm| matches!(alarm, Alarm::StoreSlow { .. })),
        3,
        "one alarm each"
    );
    cells[0].answers(&mut sim);
    sim.kill(1);
    let after = sim
        .until(seconds(30), |sim| sim.server_of(1).is_some())
        .expect("taken over");
    println!("a store with 2 s latency: taken over after {after:?}");
    sim.advance(seconds(5));
    assert_eq!(changes(&sim), 1);
    sim.store_latency = millis(1);
    sim.advance(seconds(10));
    assert_eq!(changes(&sim), 1);
    for cell in &cells {
        cell.answers(&mut sim);
    }
    Cell::end_all(&mut sim, &cells);
}

#[test]
fn a_store_that_comes_back_empty_is_filled_again_and_nobody_is_fenced() {
    let (mut sim, cells) = three();
    sim.store.health = Health::Gone;
    sim.advance(millis(700));
    sim.store.forget_everything();
    sim.store.health = Health::Well;
    sim.advance(seconds(3));
    assert_eq!(changes(&sim), 0, "{:?}", sim.notes);
    assert_eq!(alarms(&sim, |alarm| matches!(alarm, Alarm::StoreForgot(_))), 3);
    sim.kill(1);
    sim.advance(seconds(4));
    for cell in &cells {
        cell.answers(&mut sim);
    }
    Cell::end_all(&mut sim, &cells);
}

#[test]
fn who_has_lost_the_store_alone_is_not_taken_over() {
    let (mut sim, cells) = three();
    sim.hosts[1].storeless = true;
    sim.advance(seconds(40));
    assert_eq!(changes(&sim), 0, "it answers its peers");
    assert!(sim.traffic.pings > 10);
    for cell in &cells {
        cell.answers(&mut sim);
    }
    sim.hosts[1].storeless = false;
    sim.advance(seconds(4));
    assert_eq!(changes(&sim), 0);
    // Both at once: then it is dead.
    sim.kill(1);
    sim.advance(seconds(4));
    assert_eq!(changes(&sim), 1);
    for cell in &cells {
        cell.answers(&mut sim);
    }
    Cell::end_all(&mut sim, &cells);
}

#[test]
fn a_partition_with_both_sides_active_ends_with_one_owner() {
    let (mut sim, cells) = three();
    sim.hosts[1].cut = true;
    sim.advance(seconds(4));
    let owner = (0..3).find(|host| *host != 1 && sim.process(*host).membership.held().any(|held| held.node == 1));
    let owner = owner.expect("taken over: nobody can know better");
    // Phones of that side are still served by it, and it says to nobody that they are not.
    cells[1].answers(&mut sim);
    assert_eq!(noted(&sim, |note| matches!(note, Note::Fenced { .. })), 0);
    sim.hosts[1].cut = false;
    sim.advance(seconds(4));
    let fenced = |note: &Note| matches!(note, Note::Fenced { host: 1, held } if held.node == 1);
    assert_eq!(noted(&sim, fenced), 1);
    assert_eq!(sim.server_of(1), Some(owner));
    assert!(
        sim.process(1).home().is_some_and(|home| home != 1),
        "it goes on with new calls"
    );
    for cell in &cells {
        cell.answers(&mut sim);
    }
    Cell::end_all(&mut sim, &cells);
}

#[test]
fn who_was_stopped_and_goes_on_is_fenced_by_its_first_write() {
    let (mut sim, cells) = three_that(true);
    sim.freeze(1);
    sim.advance(seconds(4));
    let owner = sim.server_of(1);
    assert!(
        owner.is_some_and(|owner| owner != 1) || changes(&sim) == 1,
        "taken over"
    );
    // Parties of its calls had something to say; it hears that first, and believes that it is still theirs to it.
    let kept = sim.store.kept(1);
    let call = super::cells::live(&sim, cells[1].operator)[0];
    sim.at(cells[1].operator, |phone, now| phone.bye(now, call))
        .expect("it is up");
    sim.advance(millis(20));
    sim.thaw(1);
    sim.advance(millis(20));
    assert!(sim.store.load.fenced > 0, "the store refuses its write");
    assert_eq!(noted(&sim, |note| matches!(note, Note::Fenced { host: 1, .. })), 1);
    assert_eq!(sim.store.kept(1), kept, "which changes nothing");
    sim.advance(seconds(4));
    Cell::end_all(&mut sim, &cells);
}
