//! Call records: one per customer call, across every way in which it can be handed on.
//!
//! That every leg is in exactly one complete record is checked at the end of every test that leaves nothing behind
//! (`World::assert_nothing_left`); here is what the record says.

mod world;

use warmline::engine::{Cause, Command, OnFailure, Reply, TransferFailure, TransferKind, TransferMode, TransferTarget};
use warmline::observe::{Came, LegRecord, Outcome, Record, Went, page_of_records};
use warmline::sip::Uri;
use warmline::vocabulary::RecordQuery;
use world::{ALICE, BOB, CAROL, DAVE, Who, World, millis, seconds};

fn of(record: &Record, who: Who) -> Vec<&LegRecord> {
    record.legs.iter().filter(|leg| leg.party == who.uri()).collect()
}

/// How the legs of the record came, in the order in which they did.
fn came(record: &Record) -> Vec<(String, Came)> {
    let legs = record.legs.iter();
    legs.map(|leg| {
        (
            leg.party
                .trim_start_matches("sip:")
                .split('@')
                .next()
                .unwrap_or_default()
                .to_owned(),
            leg.came,
        )
    })
    .collect()
}

fn expect(legs: &[(Who, Came)]) -> Vec<(String, Came)> {
    legs.iter().map(|(who, came)| (who.user().to_owned(), *came)).collect()
}

#[test]
fn a_plain_call_is_one_record_with_its_times_and_causes() {
    let mut world = World::new();
    world.call(BOB, ALICE);
    world.hang_up(ALICE);
    world.assert_nothing_left();
    let record = world.record();
    assert_eq!(
        (record.from.as_str(), record.to.as_str()),
        (BOB.uri().as_str(), ALICE.uri().as_str())
    );
    assert_eq!(came(&record), expect(&[(BOB, Came::Called), (ALICE, Came::Dialled)]));
    let [bob, alice] = record.legs.as_slice() else {
        panic!("two legs")
    };
    assert!(bob.inbound && !alice.inbound);
    assert_eq!(alice.by, Some(bob.leg));
    assert_eq!((alice.cause, bob.cause), (Some(Cause::Party), Some(Cause::OtherParty)));
    let times = [
        Some(alice.started_at),
        alice.ringing_at,
        alice.answered_at,
        alice.ended_at,
    ];
    assert!(times.iter().all(Option::is_some) && times.is_sorted(), "{times:?}");
    assert!(alice.started_at < alice.answered_at.unwrap());
    assert_eq!(record.answered_at, alice.answered_at);
    assert_eq!(record.cause, Some(Cause::Party));
}

#[test]
fn which_numbers_were_involved_after_the_transfer() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    world.hang_up(CAROL);
    world.assert_nothing_left();
    let record = world.record();
    let [transfer] = record.transfers.as_slice() else {
        panic!("one transfer")
    };
    assert_eq!(record.after(transfer.transfer), [BOB.uri(), CAROL.uri()]);
    assert_eq!(transfer.after, [BOB.uri(), CAROL.uri()]);
    assert_eq!(record.parties, [BOB.uri(), ALICE.uri(), CAROL.uri()]);
}

#[test]
fn a_consult_is_part_of_the_customers_record_once_it_was_joined() {
    let mut world = World::new();
    let warm = world.warm();
    assert_eq!(world.records().len(), 2, "until then it is a call of its own");
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    let record = world.record();
    let legs = [
        (BOB, Came::Called),
        (ALICE, Came::Dialled),
        (ALICE, Came::Consulted),
        (CAROL, Came::Consulted),
    ];
    assert_eq!(came(&record), expect(&legs));
    assert!(record.ended_at.is_none(), "bob and carol talk");
    let transfer = &record.transfers[0];
    assert_eq!(
        (transfer.kind, transfer.outcome),
        (TransferKind::Attended, Some(Outcome::Completed))
    );
    assert_eq!(
        (transfer.transferor.clone(), transfer.transferee.clone()),
        (ALICE.uri(), BOB.uri())
    );
    for leg in of(&record, ALICE) {
        assert_eq!(
            leg.went,
            Some(Went::Transferred {
                transfer: transfer.transfer
            })
        );
        assert_eq!(leg.cause, Some(Cause::Transferred));
    }
    world.hang_up(BOB);
    world.assert_nothing_left();
    assert_eq!(
        world.record().cause,
        Some(Cause::Party),
        "how the customer's call ended"
    );
}

#[test]
fn a_consult_that_was_not_joined_stays_a_call_of_its_own() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().bye(warm.consult);
    world.run();
    world.hang_up(BOB);
    world.assert_nothing_left();
    let [customer, consult] = &world.records()[..] else {
        panic!("two records")
    };
    assert_eq!((customer.from.clone(), consult.from.clone()), (BOB.uri(), ALICE.uri()));
}

#[test]
fn a_blind_transfers_target_says_who_sent_the_customer() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    world.alice().refer(customer, CAROL);
    world.advance(millis(300));
    world.carol().pick_up();
    world.run();
    world.hang_up(BOB);
    world.assert_nothing_left();
    let record = world.record();
    assert_eq!(
        came(&record),
        expect(&[
            (BOB, Came::Called),
            (ALICE, Came::Dialled),
            (CAROL, Came::TransferredTo)
        ])
    );
    let carol = of(&record, CAROL)[0];
    assert_eq!(carol.by, Some(of(&record, ALICE)[0].leg));
    assert_eq!(carol.transfer, Some(record.transfers[0].transfer));
    assert_eq!(record.after(record.transfers[0].transfer), [BOB.uri(), CAROL.uri()]);
}

#[test]
fn targets_that_could_not_be_had_are_on_record() {
    let mut world = World::with(|settings| {
        settings.on_failure = OnFailure::Next(vec![Uri::parse(&DAVE.uri()).unwrap()]);
    });
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().rejects_with(486);
    world.alice().refer(customer, CAROL);
    world.advance(millis(500));
    world.dave().pick_up();
    world.run();
    world.hang_up(DAVE);
    world.assert_nothing_left();
    let record = world.record();
    let busy = of(&record, CAROL)[0];
    assert_eq!(
        (busy.came, busy.cause),
        (Came::TransferredTo, Some(Cause::Refused { status: 486 }))
    );
    assert_eq!(busy.answered_at, None);
    let dave = of(&record, DAVE)[0];
    assert!(dave.came == Came::TransferredTo && dave.answered_at.is_some());
    assert_eq!(record.after(record.transfers[0].transfer), [BOB.uri(), DAVE.uri()]);
}

#[test]
fn a_transfer_that_failed_has_its_reason() {
    let mut world = World::new();
    let (_, customer) = world.call(BOB, ALICE);
    world.carol().rejects_with(603);
    world.alice().refer(customer, CAROL);
    world.run();
    world.hang_up(BOB);
    world.assert_nothing_left();
    let record = world.record();
    let failed = Outcome::Failed {
        reason: TransferFailure::TargetRefused,
        status: Some(603),
    };
    assert_eq!(record.transfers[0].outcome, Some(failed));
    assert_eq!(record.after(record.transfers[0].transfer), [""; 0], "nobody came of it");
}

#[test]
fn who_sends_its_calls_on_is_on_record_and_so_is_to_whom() {
    let mut world = World::new();
    world.bob().call(ALICE);
    world.advance(millis(300));
    world.alice().forward(CAROL);
    world.advance(millis(300));
    world.carol().pick_up();
    world.run();
    world.hang_up(BOB);
    world.assert_nothing_left();
    let record = world.record();
    assert_eq!(
        came(&record),
        expect(&[(BOB, Came::Called), (ALICE, Came::Dialled), (CAROL, Came::Forwarded)])
    );
    let alice = of(&record, ALICE)[0];
    assert_eq!(alice.went, Some(Went::Forwarded { to: CAROL.uri() }));
    assert_eq!(of(&record, CAROL)[0].by, Some(alice.leg));
}

#[test]
fn a_newcomer_with_replaces_takes_a_place_in_the_record() {
    let mut world = World::new();
    let (_, at_alice) = world.call(BOB, ALICE);
    let replaces = world.phone(ALICE).replaces(at_alice).expect("a dialog");
    world.alice().invite_with_replaces(&BOB.uri(), &replaces);
    world.run();
    world.hang_up(BOB);
    world.assert_nothing_left();
    let record = world.record();
    assert_eq!(
        came(&record),
        expect(&[(BOB, Came::Called), (ALICE, Came::Dialled), (ALICE, Came::TookOver)])
    );
    let [replaced, newcomer] = of(&record, ALICE)[..] else {
        panic!("two legs of alice's")
    };
    assert_eq!(newcomer.by, Some(replaced.leg));
    assert_eq!(record.transfers[0].kind, TransferKind::Replaced);
}

#[test]
fn a_customer_who_is_sent_a_refer_stays_one_customer() {
    for attended in [true, false] {
        let mut world = World::with(|settings| settings.transfer = TransferMode::Refer);
        if attended {
            let warm = world.warm();
            world.alice().refer_attended(warm.customer, warm.consult);
        } else {
            let (_, customer) = world.call(BOB, ALICE);
            world.carol().answers_after(millis(100));
            world.alice().refer(customer, CAROL);
        }
        world.run();
        assert_eq!(world.phone(CAROL).live().len(), 1, "carol talks");
        world.hang_up(CAROL);
        world.assert_nothing_left();
        let record = world.record();
        let first = &record.transfers[0];
        assert_eq!(first.mode, TransferMode::Refer);
        assert!(first.after.contains(&CAROL.uri()), "{first:#?}");
        let bobs: Vec<_> = of(&record, BOB).iter().map(|leg| leg.came).collect();
        let how = if attended { Came::TookOver } else { Came::Referred };
        assert_eq!(bobs, [Came::Called, how]);
    }
}

#[test]
fn click_to_dial_is_one_record() {
    let mut world = World::new();
    let uri = |who: Who| Uri::parse(&who.uri()).unwrap();
    let id = world.command(Command::Dial {
        from: uri(ALICE),
        to: uri(BOB),
        ring_timeout: None,
    });
    assert!(matches!(world.reply(id), Some(Ok(Reply::Call(_)))));
    world.advance(millis(300));
    world.alice().pick_up();
    world.advance(millis(300));
    world.bob().pick_up();
    world.run();
    world.hang_up(ALICE);
    world.assert_nothing_left();
    let record = world.record();
    assert_eq!(came(&record), expect(&[(ALICE, Came::Dialled), (BOB, Came::Dialled)]));
    assert_eq!((record.from.clone(), record.to.clone()), (ALICE.uri(), BOB.uri()));
}

#[test]
fn a_call_that_was_never_answered_is_a_record_too() {
    let mut world = World::new();
    world.alice().rejects_with(486);
    world.bob().call(ALICE);
    world.run();
    world.assert_nothing_left();
    let record = world.record();
    assert_eq!(record.answered_at, None);
    assert_eq!(of(&record, ALICE)[0].cause, Some(Cause::Refused { status: 486 }));
}

#[test]
fn two_transfers_of_one_customer_are_one_record() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    let leg = world.leg_of(CAROL).id;
    let id = world.command(Command::StartTransfer {
        transferor: leg,
        target: TransferTarget::Uri(Uri::parse(&DAVE.uri()).unwrap()),
        mode: None,
        ring_timeout: None,
        on_failure: None,
    });
    assert!(matches!(world.reply(id), Some(Ok(_))));
    world.advance(millis(300));
    world.dave().pick_up();
    world.run();
    world.hang_up(DAVE);
    world.assert_nothing_left();
    let record = world.record();
    let [first, second] = &record.transfers[..] else {
        panic!("two transfers")
    };
    assert_eq!(record.after(first.transfer), [BOB.uri(), CAROL.uri(), DAVE.uri()]);
    assert_eq!(record.after(second.transfer), [BOB.uri(), DAVE.uri()]);
}

#[test]
fn records_are_found_by_party_call_and_time_and_come_in_pages() {
    let mut world = World::new();
    for callee in [ALICE, CAROL, ALICE] {
        world.call(BOB, callee);
        world.hang_up(BOB);
        world.advance(seconds(60));
    }
    let records = world.records();
    let ask = |query: RecordQuery| {
        let found = page_of_records(
            world.records(),
            &RecordQuery {
                limit: if query.limit == 0 { 9 } else { query.limit },
                ..query
            },
        );
        (
            found.records.iter().map(|record| record.id.clone()).collect::<Vec<_>>(),
            found.total,
            found.next,
        )
    };
    let ids: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
    let by_party = |party: &str| {
        ask(RecordQuery {
            party: Some(party.to_owned()),
            ..RecordQuery::default()
        })
        .0
    };
    assert_eq!(by_party("carol"), [ids[1].clone()]);
    assert_eq!(by_party(&ALICE.uri()), [ids[2].clone(), ids[0].clone()]);
    assert_eq!(by_party("aro"), [""; 0], "a part of a name is no name");
    let call = records[1].calls[0];
    assert_eq!(
        ask(RecordQuery {
            call: Some(call),
            ..RecordQuery::default()
        })
        .0,
        [ids[1].clone()]
    );
    let since = Some(records[1].started_at);
    assert_eq!(
        ask(RecordQuery {
            since,
            ..RecordQuery::default()
        })
        .1,
        2
    );
    assert_eq!(
        ask(RecordQuery {
            until: since,
            ..RecordQuery::default()
        })
        .0,
        [ids[0].clone()]
    );
    assert_eq!(
        ask(RecordQuery {
            ended: Some(false),
            ..RecordQuery::default()
        })
        .1,
        0
    );
    let (first, total, next) = ask(RecordQuery {
        limit: 2,
        ..RecordQuery::default()
    });
    assert_eq!((first, total), (vec![ids[2].clone(), ids[1].clone()], 3));
    let (second, total, last) = ask(RecordQuery {
        limit: 2,
        after: next,
        ..RecordQuery::default()
    });
    assert_eq!((second, total, last), (vec![ids[0].clone()], 3, None));
}

#[test]
fn the_described_shapes_are_those_of_the_records() {
    let mut world = World::new();
    let warm = world.warm();
    world.alice().refer_attended(warm.customer, warm.consult);
    world.run();
    let sent = serde_json::to_value(&*world.record()).unwrap();
    let described = serde_json::to_value(warmline::api::native::openapi()).unwrap();
    let keys = |value: &serde_json::Value| {
        let mut keys: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
        keys.sort();
        keys
    };
    let shape = |name: &str| keys(&described["components"]["schemas"][name]["properties"]);
    assert_eq!(keys(&sent), shape("CallRecord"));
    assert_eq!(keys(&sent["legs"][0]), shape("RecordedLeg"));
    assert_eq!(keys(&sent["transfers"][0]), shape("RecordedTransfer"));
    assert_eq!(sent["started_at"], "1970-01-01T00:00:00.003Z");
    assert_eq!(sent["transfers"][0]["outcome"], "completed");
}
