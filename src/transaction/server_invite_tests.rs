use super::super::testing::*;
use super::*;

type Machine = ServerInvite;

fn bytes(status: u16) -> Bytes {
    response(status).bytes().clone()
}

fn respond(machine: &mut Machine, now: Instant, reliable: bool, status: u16) -> Option<Step> {
    machine.respond(now, &TIMERS, reliable, bytes(status), status)
}

fn timeout(machine: &mut Machine, now: Instant) -> Step {
    machine.timeout(now, &TIMERS, |_| Some(bytes(100)))
}

fn in_state(now: Instant, name: &str, reliable: bool) -> Machine {
    let mut machine = Machine::start(now, invite());
    match name {
        "Trying" => {}
        "Proceeding" => drop(respond(&mut machine, now, reliable, 180)),
        "Completed" => drop(respond(&mut machine, now, reliable, 486)),
        "Confirmed" => {
            respond(&mut machine, now, reliable, 486);
            machine.receive_ack(now, &TIMERS, reliable);
        }
        "Accepted" => drop(respond(&mut machine, now, reliable, 200)),
        "Terminated" => machine = Machine::Terminated,
        other => panic!("no state {other}"),
    }
    assert_eq!(name_of(&machine), name);
    machine
}

fn name_of(machine: &Machine) -> &'static str {
    match machine {
        Machine::Trying { .. } => "Trying",
        Machine::Proceeding { .. } => "Proceeding",
        Machine::Completed { .. } => "Completed",
        Machine::Confirmed { .. } => "Confirmed",
        Machine::Accepted { .. } => "Accepted",
        Machine::Terminated => "Terminated",
    }
}

#[test]
fn the_table_of_the_users_answers() {
    let now = start();
    for (state, status, next) in [
        ("Trying", 100, Some("Proceeding")),
        ("Trying", 183, Some("Proceeding")),
        ("Trying", 200, Some("Accepted")),
        ("Trying", 486, Some("Completed")),
        ("Proceeding", 180, Some("Proceeding")),
        ("Proceeding", 200, Some("Accepted")),
        ("Proceeding", 302, Some("Completed")),
        ("Completed", 180, None),
        ("Completed", 200, None),
        ("Completed", 486, None),
        ("Confirmed", 180, None),
        ("Confirmed", 200, None),
        ("Confirmed", 486, None),
        ("Accepted", 180, None),
        ("Accepted", 200, Some("Accepted")),
        ("Accepted", 486, None),
        ("Terminated", 180, None),
        ("Terminated", 200, None),
        ("Terminated", 486, None),
    ] {
        let mut machine = in_state(now, state, false);
        let step = respond(&mut machine, now, false, status);
        assert_eq!(step, next.map(|_| Step::send(bytes(status))), "{state} {status}");
        assert_eq!(name_of(&machine), next.unwrap_or(state), "{state} {status}");
    }
}

#[test]
fn the_table_of_repeated_requests() {
    let now = start();
    for (state, answer) in [
        ("Trying", None),
        ("Proceeding", Some(180)),
        ("Completed", Some(486)),
        ("Confirmed", None),
        ("Accepted", None),
        ("Terminated", None),
    ] {
        let mut machine = in_state(now, state, false);
        let before = machine.clone();
        assert_eq!(machine.receive_again().send, answer.map(bytes), "{state}");
        assert_eq!(machine, before, "{state}");
    }
}

#[test]
fn the_table_of_acks() {
    let now = start();
    for (state, next, passes) in [
        ("Trying", "Trying", false),
        ("Proceeding", "Proceeding", false),
        ("Completed", "Confirmed", false),
        ("Confirmed", "Confirmed", false),
        ("Accepted", "Accepted", true),
        ("Terminated", "Terminated", false),
    ] {
        let mut machine = in_state(now, state, false);
        let step = machine.receive_ack(now, &TIMERS, false);
        assert_eq!(
            (name_of(&machine), step.pass, step.send),
            (next, passes, None),
            "{state}"
        );
    }
    let mut machine = in_state(now, "Completed", true);
    machine.receive_ack(now, &TIMERS, true);
    assert!(machine.is_terminated(), "I is zero on a reliable flow");
}

#[test]
fn silence_of_200_ms_becomes_a_100() {
    let now = start();
    let mut machine = in_state(now, "Trying", false);
    assert_eq!(machine.deadline(), Some(now + ms(200)));
    assert_eq!(timeout(&mut machine, now + ms(199)), Step::nothing());
    assert_eq!(timeout(&mut machine, now + ms(200)), Step::send(bytes(100)));
    assert_eq!((name_of(&machine), machine.deadline()), ("Proceeding", None));
    assert_eq!(machine.receive_again(), Step::send(bytes(100)));
    for state in ["Proceeding", "Accepted", "Completed"] {
        let mut machine = in_state(now, state, false);
        assert_ne!(
            timeout(&mut machine, now + ms(200)),
            Step::send(bytes(100)),
            "{state}: an answer was sooner"
        );
    }
}

fn schedule(now: Instant, machine: &mut Machine) -> (Vec<u128>, u128, Step) {
    let mut sent = Vec::new();
    loop {
        let at = machine.deadline().unwrap();
        let step = timeout(machine, at);
        if step.send.is_none() {
            return (sent, (at - now).as_millis(), step);
        }
        assert_eq!(step.send, Some(bytes(486)));
        sent.push((at - now).as_millis());
    }
}

#[test]
fn g_doubles_up_to_t2_until_h() {
    let now = start();
    let mut machine = in_state(now, "Completed", false);
    let (sent, ended, step) = schedule(now, &mut machine);
    assert_eq!(sent, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert_eq!((ended, step), (32_000, Step::timed_out()));
    assert!(machine.is_terminated());
}

#[test]
fn a_reliable_flow_has_h_only() {
    let now = start();
    let mut machine = in_state(now, "Completed", true);
    assert_eq!(schedule(now, &mut machine), (vec![], 32_000, Step::timed_out()));
}

#[test]
fn i_is_t4_and_l_is_64_t1() {
    let now = start();
    for (state, reliable, lasts) in [("Confirmed", false, 5), ("Accepted", false, 32), ("Accepted", true, 32)] {
        let mut machine = in_state(now, state, reliable);
        assert_eq!(machine.deadline(), Some(now + secs(lasts)), "{state}");
        assert_eq!(timeout(&mut machine, now + secs(lasts) - ms(1)), Step::nothing());
        assert_eq!(timeout(&mut machine, now + secs(lasts)), Step::nothing());
        assert!(machine.is_terminated(), "{state}");
    }
}

#[test]
fn a_repeated_2xx_does_not_move_l() {
    let now = start();
    let mut machine = in_state(now, "Accepted", false);
    respond(&mut machine, now + secs(8), false, 200);
    machine.receive_ack(now + secs(9), &TIMERS, false);
    assert_eq!(machine.deadline(), Some(now + secs(32)));
}
