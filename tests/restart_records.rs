//! One record per customer's call, with its whole tree, also when the process is killed in between (issue 6 §1). Virtual time.

mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use warmline::engine::{CallHandle, Command, HubSettings, Role};
use warmline::observe::{Came, Outcome, Record};
use world::{ALICE, BOB, CAROL, EVERYBODY, World, millis, party, seconds};

fn world() -> World {
    let mut world = World::keeping(|_| {});
    for complaint in ["no answer", "no ACK", "timer", "a NOTIFY", "retransmission", "BYE"] {
        world.tolerate(complaint);
    }
    world
}

/// Everybody leaves; then every record is complete, to its last leg and transfer.
fn complete(world: &mut World) -> Vec<Arc<Record>> {
    world.everybody_leaves(&EVERYBODY);
    world.run();
    world.advance(seconds(100));
    world.run();
    let records = world.records();
    let ids: BTreeSet<_> = records.iter().map(|record| &record.id).collect();
    assert_eq!(ids.len(), records.len(), "{records:#?}");
    for record in &records {
        let whole = record.ended_at.is_some()
            && record.cause.is_some()
            && record
                .legs
                .iter()
                .all(|leg| leg.ended_at.is_some() && leg.cause.is_some())
            && record.transfers.iter().all(|asked| asked.outcome.is_some());
        assert!(whole, "{record:#?}\n{}", world.ladder());
        let legs: BTreeSet<_> = record.legs.iter().map(|leg| leg.leg).collect();
        assert_eq!(legs.len(), record.legs.len(), "no leg is there twice: {record:#?}");
    }
    assert_eq!(
        world.kept().get("note"),
        Some(&records.len()),
        "the store has each of them once"
    );
    records
}

/// Kills after every output of `act`, and gives the records to `judge` when everybody has left.
fn sweep<T>(begin: impl Fn() -> (World, T), act: impl Fn(&mut World, &T), judge: impl Fn(&World, &[Arc<Record>])) {
    let (mut whole, what) = begin();
    let from = whole.said();
    act(&mut whole, &what);
    whole.advance(seconds(1));
    whole.run();
    let mut killed = 0;
    for after in 0..whole.said() - from {
        let (mut world, what) = begin();
        world.die_after(after);
        act(&mut world, &what);
        for _ in 0..200 {
            if world.is_dead() {
                break;
            }
            world.advance(millis(10));
        }
        if !world.is_dead() {
            continue;
        }
        killed += 1;
        world.advance(millis(200));
        world.start_again();
        world.advance(seconds(5));
        world.run();
        let records = complete(&mut world);
        judge(&world, &records);
    }
    assert!(killed > 8, "killed at {killed} points");
}

#[test]
fn a_record_under_way_goes_on_and_a_complete_one_is_remembered() {
    let mut world = world();
    world.call(BOB, ALICE);
    let before = world.record();
    assert!(before.ended_at.is_none());
    world.restart(millis(300));
    world.run();
    let after = world.record();
    let tree = |record: &Record| format!("{:?} {:?} {:?}", record.id, record.legs, record.started_at);
    assert_eq!(tree(&before), tree(&after), "nothing was lost, nothing came twice");
    assert_eq!(
        (&after.from, &after.to, after.answered_at),
        (&before.from, &before.to, before.answered_at)
    );
    world.hang_up(BOB);
    let ended = complete(&mut world);
    world.restart(millis(300));
    let remembered = world.record();
    assert_eq!((&remembered.id, remembered.ended_at), (&ended[0].id, ended[0].ended_at));
}

#[test]
fn a_call_that_is_killed_anywhere_in_its_setup_has_one_record() {
    let begin = || {
        let mut world = world();
        world.alice().answers_after(millis(100));
        (world, ())
    };
    let call = |world: &mut World, (): &()| {
        world.bob().call(ALICE);
    };
    sweep(begin, call, |world, records| {
        assert_eq!(records.len(), 1, "{records:#?}\n{}", world.ladder());
        let record = &records[0];
        assert!(
            record.answered_at.is_some(),
            "it was taken up and answered: {record:#?}"
        );
        assert_eq!(
            (
                record.from.contains("bob"),
                record.to.contains("alice"),
                record.parties.len()
            ),
            (true, true, 2),
            "{record:#?}"
        );
    });
}

#[test]
fn a_blind_transfer_that_is_killed_anywhere_has_one_record_with_its_outcome() {
    let begin = || {
        let mut world = world();
        world.call(BOB, ALICE);
        world.carol().answers_after(millis(200));
        (world, ())
    };
    let refer = |world: &mut World, (): &()| {
        let call = world.the(ALICE);
        world.alice().refer(call, CAROL);
    };
    sweep(begin, refer, |world, records| {
        assert_eq!(records.len(), 1, "{records:#?}\n{}", world.ladder());
        let came = records[0]
            .legs
            .iter()
            .filter(|leg| leg.came == Came::TransferredTo && leg.answered_at.is_some());
        let done = records[0]
            .transfers
            .iter()
            .filter(|asked| asked.outcome == Some(Outcome::Completed));
        assert_eq!(came.count(), done.count(), "{:#?}\n{}", records[0], world.ladder());
    });
}

#[test]
fn an_attended_transfer_that_is_killed_anywhere_has_one_record_when_it_is_done() {
    let begin = || {
        let mut world = world();
        world.warm();
        (world, ())
    };
    let refer = |world: &mut World, (): &()| {
        let calls = world.phone(ALICE).live();
        world.alice().refer_attended(calls[0], calls[1]);
    };
    sweep(begin, refer, |world, records| {
        // The customer's; a consult's of its own is one only if nothing was joined.
        let done = records.iter().flat_map(|record| &record.transfers);
        let done = done.filter(|asked| asked.outcome == Some(Outcome::Completed)).count();
        assert_eq!(records.len(), 2 - done, "{records:#?}\n{}", world.ladder());
        let legs: usize = records.iter().map(|record| record.legs.len()).sum();
        assert_eq!(legs, 4, "{records:#?}\n{}", world.ladder());
    });
}

#[test]
fn a_hub_that_is_killed_anywhere_has_one_record() {
    let begin = || {
        let mut world = world();
        let hub = world.open_hub(HubSettings::default());
        world.add_and_answer(hub, ALICE, Role::default());
        world.add_and_answer(hub, BOB, Role::default());
        world.carol().answers_after(millis(200));
        (world, hub)
    };
    let call = |world: &mut World, hub: &CallHandle| {
        world.command(Command::AddParty {
            call: *hub,
            party: Box::new(party(CAROL, Role::default())),
        });
    };
    sweep(begin, call, |world, records| {
        assert_eq!(records.len(), 1, "{records:#?}\n{}", world.ladder());
        assert!((2..=3).contains(&records[0].legs.len()), "{:#?}", records[0]);
    });
}
