use super::super::testing::*;
use super::*;

type Machine = ServerOther;

fn bytes(status: u16) -> Bytes {
    response(status).bytes().clone()
}

fn respond(machine: &mut Machine, now: Instant, reliable: bool, status: u16) -> Option<Step> {
    machine.respond(now, &TIMERS, reliable, bytes(status), status)
}

fn timeout(machine: &mut Machine, now: Instant) -> Step {
    machine.timeout(now, |_| Some(bytes(100)))
}

fn in_state(now: Instant, name: &str) -> Machine {
    let mut machine = Machine::start(now, &TIMERS, invite());
    match name {
        "Trying" => {}
        "Proceeding" => drop(respond(&mut machine, now, true, 100)),
        "Completed" => drop(respond(&mut machine, now, false, 200)),
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
        Machine::Terminated => "Terminated",
    }
}

#[test]
fn the_table_of_the_users_answers() {
    let now = start();
    for (state, status, next) in [
        ("Trying", 100, None), // too early over UDP
        ("Trying", 183, None),
        ("Trying", 200, Some("Completed")),
        ("Trying", 405, Some("Completed")),
        ("Trying", 408, None),
        ("Proceeding", 100, Some("Proceeding")),
        ("Proceeding", 180, None),
        ("Proceeding", 200, Some("Completed")),
        ("Proceeding", 408, None),
        ("Completed", 100, None),
        ("Completed", 200, None),
        ("Completed", 500, None),
        ("Terminated", 100, None),
        ("Terminated", 200, None),
    ] {
        let mut machine = in_state(now, state);
        let step = respond(&mut machine, now, false, status);
        assert_eq!(step, next.map(|_| Step::send(bytes(status))), "{state} {status}");
        assert_eq!(name_of(&machine), next.unwrap_or(state), "{state} {status}");
    }
    let mut machine = in_state(now, "Trying");
    assert!(respond(&mut machine, now, true, 200).is_some());
    assert!(machine.is_terminated(), "J is zero on a reliable flow");
}

#[test]
fn a_100_may_come_when_timer_e_is_t2_and_over_tcp_at_once() {
    let now = start();
    let mut machine = in_state(now, "Trying");
    assert_eq!(respond(&mut machine, now + ms(3_499), false, 100), None);
    assert!(respond(&mut machine, now + ms(3_500), false, 100).is_some());
    assert!(respond(&mut in_state(now, "Trying"), now, true, 100).is_some());
}

#[test]
fn a_100_must_come_when_timer_e_is_t2() {
    let now = start();
    let mut machine = in_state(now, "Trying");
    assert_eq!(machine.deadline(), Some(now + ms(3_500)));
    assert_eq!(timeout(&mut machine, now + ms(3_499)), Step::nothing());
    assert_eq!(timeout(&mut machine, now + ms(3_500)), Step::send(bytes(100)));
    assert_eq!(name_of(&machine), "Proceeding");
}

#[test]
fn the_table_of_repeated_requests() {
    let now = start();
    for (state, answer) in [
        ("Trying", None),
        ("Proceeding", Some(100)),
        ("Completed", Some(200)),
        ("Terminated", None),
    ] {
        assert_eq!(in_state(now, state).receive_again().send, answer.map(bytes), "{state}");
    }
}

#[test]
fn after_64_t1_nothing_is_sent_any_more() {
    let now = start();
    for state in ["Trying", "Proceeding"] {
        let mut machine = in_state(now, state);
        assert_eq!(
            respond(&mut machine, now + secs(32), false, 200),
            None,
            "{state}: also before the timer is run"
        );
        assert_eq!(timeout(&mut machine, now + secs(32)), Step::timed_out(), "{state}");
        assert!(machine.is_terminated());
        assert_eq!(respond(&mut machine, now + secs(32), false, 200), None, "{state}");
    }
    assert_eq!(in_state(now, "Proceeding").deadline(), Some(now + secs(32)));
}

#[test]
fn j_is_64_t1() {
    let now = start();
    let mut machine = in_state(now, "Completed");
    assert_eq!(machine.deadline(), Some(now + secs(32)));
    assert_eq!(timeout(&mut machine, now + ms(31_999)), Step::nothing());
    assert_eq!(timeout(&mut machine, now + secs(32)), Step::nothing());
    assert!(machine.is_terminated());
}
