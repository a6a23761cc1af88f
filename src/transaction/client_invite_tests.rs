use super::super::testing::*;
use super::*;

type Machine = ClientInvite;

fn calling(now: Instant, reliable: bool) -> Machine {
    Machine::start(now, &TIMERS, reliable, invite())
}

fn receive(machine: &mut Machine, now: Instant, reliable: bool, status: u16) -> Step {
    machine.receive(now, &TIMERS, reliable, &response(status))
}

/// Every state that lives, at `now` on UDP.
fn in_state(now: Instant, name: &str) -> Machine {
    let mut machine = calling(now, false);
    match name {
        "Calling" => {}
        "Proceeding" => drop(receive(&mut machine, now, false, 180)),
        "Completed" => drop(receive(&mut machine, now, false, 486)),
        "Accepted" => drop(receive(&mut machine, now, false, 200)),
        other => panic!("no state {other}"),
    }
    assert_eq!(name_of(&machine), name);
    machine
}

fn name_of(machine: &Machine) -> &'static str {
    match machine {
        Machine::Calling { .. } => "Calling",
        Machine::Proceeding { .. } => "Proceeding",
        Machine::Completed { .. } => "Completed",
        Machine::Accepted { .. } => "Accepted",
        Machine::Terminated => "Terminated",
    }
}

#[test]
fn the_table_of_responses() {
    let now = start();
    for (state, status, next, passes, sends) in [
        ("Calling", 100, "Proceeding", true, false),
        ("Calling", 183, "Proceeding", true, false),
        ("Calling", 200, "Accepted", true, false),
        ("Calling", 302, "Completed", true, true),
        ("Calling", 699, "Completed", true, true),
        ("Proceeding", 180, "Proceeding", true, false),
        ("Proceeding", 200, "Accepted", true, false),
        ("Proceeding", 299, "Accepted", true, false),
        ("Proceeding", 486, "Completed", true, true),
        ("Completed", 180, "Completed", false, false),
        ("Completed", 200, "Completed", false, false),
        ("Completed", 486, "Completed", false, true),
        ("Accepted", 180, "Accepted", false, false),
        ("Accepted", 200, "Accepted", true, false),
        ("Accepted", 486, "Accepted", false, false),
    ] {
        let mut machine = in_state(now, state);
        let step = receive(&mut machine, now + ms(10), false, status);
        assert_eq!(name_of(&machine), next, "{state} {status}");
        assert_eq!(
            (step.pass, step.send.is_some(), step.end),
            (passes, sends, None),
            "{state} {status}"
        );
    }
}

#[test]
fn the_table_on_a_reliable_flow_ends_with_a_final_that_is_no_2xx() {
    let now = start();
    for first in [None, Some(180)] {
        let mut machine = calling(now, true);
        first.map(|status| receive(&mut machine, now, true, status));
        let step = receive(&mut machine, now, true, 486);
        assert_eq!(
            (name_of(&machine), step.pass, step.end),
            ("Terminated", true, Some(End::Ended))
        );
        assert!(step.send.is_some(), "the ACK goes out before");
        let mut machine = calling(now, true);
        receive(&mut machine, now, true, 200);
        assert_eq!(
            machine.deadline(),
            Some(now + secs(32)),
            "M runs on every transport (RFC 6026 §8.4)"
        );
    }
}

#[test]
fn a_doubles_without_a_ceiling_until_b() {
    let now = start();
    let mut machine = calling(now, false);
    let mut sent = Vec::new();
    let ended = loop {
        let at = machine.deadline().unwrap();
        let step = machine.timeout(at);
        if let Some(end) = step.end {
            break (at, end);
        }
        assert_eq!(step.send, Some(invite()));
        sent.push((at - now).as_millis());
    };
    assert_eq!(sent, [500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!(ended, (now + secs(32), End::TimedOut));
    assert_eq!(name_of(&machine), "Terminated");
}

#[test]
fn a_is_silent_on_a_reliable_flow_and_b_is_not() {
    let now = start();
    let mut machine = calling(now, true);
    assert_eq!(machine.deadline(), Some(now + secs(32)));
    assert_eq!(machine.timeout(now + secs(32)).end, Some(End::TimedOut));
}

#[test]
fn after_a_provisional_it_may_ring_for_ever() {
    let now = start();
    let mut machine = in_state(now, "Proceeding");
    assert_eq!(machine.deadline(), None);
    assert_eq!(machine.timeout(now + secs(3600)), Step::nothing());
    assert_eq!(name_of(&machine), "Proceeding");
}

#[test]
fn after_our_cancel_it_may_not() {
    let now = start();
    let mut machine = in_state(now, "Proceeding");
    machine.cancelled(now + secs(5), &TIMERS);
    assert_eq!(machine.deadline(), Some(now + secs(37)));
    receive(&mut machine, now + secs(6), false, 183);
    assert_eq!(
        machine.deadline(),
        Some(now + secs(37)),
        "another provisional wins no time"
    );
    assert_eq!(machine.timeout(now + secs(37)).end, Some(End::TimedOut));
}

#[test]
fn d_and_m_end_what_is_done() {
    let now = start();
    for state in ["Completed", "Accepted"] {
        let mut machine = in_state(now, state);
        assert_eq!(machine.deadline(), Some(now + secs(32)), "{state}");
        assert_eq!(machine.timeout(now + ms(31_999)), Step::nothing());
        assert_eq!(machine.timeout(now + secs(32)).end, Some(End::Ended), "{state}");
        assert_eq!(name_of(&machine), "Terminated");
    }
}

#[test]
fn a_repeated_response_does_not_move_d_or_m() {
    let now = start();
    for (state, status) in [("Completed", 486), ("Accepted", 200)] {
        let mut machine = in_state(now, state);
        receive(&mut machine, now + secs(20), false, status);
        assert_eq!(machine.deadline(), Some(now + secs(32)), "{state}");
    }
}

#[test]
fn a_failed_flow_is_a_failure_only_before_the_answer() {
    let now = start();
    for (state, end) in [
        ("Calling", End::TransportFailed),
        ("Proceeding", End::TransportFailed),
        ("Completed", End::Ended),
        ("Accepted", End::Ended),
    ] {
        let mut machine = in_state(now, state);
        assert_eq!(machine.flow_failed().end, Some(end), "{state}");
        assert!(machine.is_terminated());
        assert_eq!(machine.flow_failed(), Step::nothing());
    }
}

#[test]
fn a_terminated_machine_does_nothing() {
    let now = start();
    let mut machine = Machine::Terminated;
    for status in [100, 200, 486] {
        assert_eq!(receive(&mut machine, now, false, status), Step::nothing());
    }
    assert_eq!(machine.timeout(now), Step::nothing());
    assert_eq!((machine.deadline(), machine.cancellable()), (None, None));
}

#[test]
fn late_wakeups_are_no_burst() {
    let now = start();
    let mut machine = calling(now, false);
    assert!(machine.timeout(now + secs(10)).send.is_some());
    assert_eq!(
        machine.timeout(now + secs(10)),
        Step::nothing(),
        "what was missed is not made up for"
    );
    assert_eq!(machine.deadline(), Some(now + secs(11)));
}

#[test]
fn the_ack_of_rfc_3261_17_1_1_3() {
    let mut machine = calling(start(), false);
    let step = receive(&mut machine, start(), false, 486);
    let ack = Message::parse(step.send.unwrap()).unwrap();
    ack.validate().unwrap();
    assert_eq!(
        (ack.method(), ack.request_uri()),
        (&Method::Ack, Some("sip:bob@192.0.2.9"))
    );
    assert_eq!(
        ack.text(HeaderName::Via),
        Some("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours;rport")
    );
    assert_eq!(ack.headers(HeaderName::Via).count(), 1);
    let routes: Vec<_> = ack.values(HeaderName::Route).collect();
    assert_eq!(routes, ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]);
    assert_eq!(ack.text(HeaderName::From), Some("\"A\" <sip:a@example.com>;tag=a1"));
    assert_eq!(
        ack.text(HeaderName::To),
        Some("<sip:bob@example.com>;tag=b1"),
        "the response's To"
    );
    assert_eq!(
        (ack.call_id(), ack.text(HeaderName::CSeq)),
        ("c1@192.0.2.1", Some("7 ACK"))
    );
    assert_eq!(ack.header(HeaderName::Contact), None);
    assert_eq!(ack.body().len(), 0);
}

#[test]
fn the_cancel_of_rfc_3261_9_1() {
    let cancel =
        Message::parse(super::cancel(&invite(), Some("SIP;cause=200;text=\"Call completed elsewhere\"")).unwrap());
    let cancel = cancel.unwrap();
    cancel.validate().unwrap();
    assert_eq!(
        (cancel.method(), cancel.request_uri()),
        (&Method::Cancel, Some("sip:bob@192.0.2.9"))
    );
    assert_eq!(cancel.branch(), Some("z9hG4bKours"));
    assert_eq!(cancel.values(HeaderName::Route).count(), 2);
    assert_eq!(
        cancel.text(HeaderName::To),
        Some("<sip:bob@example.com>"),
        "the INVITE's To"
    );
    assert_eq!(
        (cancel.call_id(), cancel.text(HeaderName::CSeq)),
        ("c1@192.0.2.1", Some("7 CANCEL"))
    );
    assert_eq!(
        cancel.text(HeaderName::Reason),
        Some("SIP;cause=200;text=\"Call completed elsewhere\"")
    );
    for name in [HeaderName::Require, HeaderName::ProxyRequire, HeaderName::Contact] {
        assert_eq!(cancel.header(name), None, "{name:?}");
    }
}
