use super::super::testing::*;
use super::*;

type Machine = ClientOther;

fn trying(now: Instant, reliable: bool) -> Machine {
    Machine::start(now, &TIMERS, reliable, invite())
}

fn receive(machine: &mut Machine, now: Instant, reliable: bool, status: u16) -> Step {
    machine.receive(now, &TIMERS, reliable, &response(status))
}

fn in_state(now: Instant, name: &str) -> Machine {
    let mut machine = trying(now, false);
    match name {
        "Trying" => {}
        "Proceeding" => drop(receive(&mut machine, now, false, 100)),
        "Completed" => drop(receive(&mut machine, now, false, 200)),
        other => panic!("no state {other}"),
    }
    assert_eq!(name_of(&machine), name);
    machine
}

fn name_of(machine: &Machine) -> &'static str {
    match machine {
        Machine::Trying(_) => "Trying",
        Machine::Proceeding(_) => "Proceeding",
        Machine::Completed { .. } => "Completed",
        Machine::Terminated => "Terminated",
    }
}

#[test]
fn the_table_of_responses() {
    let now = start();
    for (state, status, next, passes) in [
        ("Trying", 100, "Proceeding", true),
        ("Trying", 200, "Completed", true),
        ("Trying", 481, "Completed", true),
        ("Proceeding", 100, "Proceeding", true),
        ("Proceeding", 202, "Completed", true),
        ("Proceeding", 603, "Completed", true),
        ("Completed", 100, "Completed", false),
        ("Completed", 200, "Completed", false),
        ("Completed", 500, "Completed", false),
    ] {
        let mut machine = in_state(now, state);
        let step = receive(&mut machine, now, false, status);
        assert_eq!(name_of(&machine), next, "{state} {status}");
        assert_eq!(
            (step.pass, step.send, step.end),
            (passes, None, None),
            "{state} {status}"
        );
    }
    let mut machine = trying(now, true);
    let step = receive(&mut machine, now, true, 200);
    assert_eq!(
        (name_of(&machine), step.pass, step.end),
        ("Terminated", true, Some(End::Ended)),
        "K is zero"
    );
}

/// When the request goes out again, in milliseconds after the start, until it is given up.
fn schedule(now: Instant, machine: &mut Machine) -> (Vec<u128>, u128, Option<End>) {
    let mut sent = Vec::new();
    loop {
        let at = machine.deadline().unwrap();
        let step = machine.timeout(at, &TIMERS);
        if step.end.is_some() {
            return (sent, (at - now).as_millis(), step.end);
        }
        assert_eq!(step.send, Some(invite()));
        sent.push((at - now).as_millis());
    }
}

#[test]
fn e_doubles_up_to_t2_until_f() {
    let now = start();
    let (sent, ended, end) = schedule(now, &mut trying(now, false));
    assert_eq!(sent, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert_eq!((ended, end), (32_000, Some(End::TimedOut)));
}

#[test]
fn in_proceeding_e_is_t2_and_f_goes_on() {
    let now = start();
    let (sent, ended, end) = schedule(now, &mut in_state(now, "Proceeding"));
    assert_eq!(sent, [500, 4500, 8500, 12500, 16500, 20500, 24500, 28500]);
    assert_eq!((ended, end), (32_000, Some(End::TimedOut)));
}

#[test]
fn a_reliable_flow_has_f_only() {
    let now = start();
    assert_eq!(
        schedule(now, &mut trying(now, true)),
        (vec![], 32_000, Some(End::TimedOut))
    );
}

#[test]
fn k_is_t4() {
    let now = start();
    let mut machine = in_state(now, "Completed");
    assert_eq!(machine.deadline(), Some(now + secs(5)));
    assert_eq!(machine.timeout(now + ms(4_999), &TIMERS), Step::nothing());
    assert_eq!(machine.timeout(now + secs(5), &TIMERS).end, Some(End::Ended));
    assert_eq!((machine.is_terminated(), machine.deadline()), (true, None));
}

#[test]
fn a_failed_flow_is_a_failure_only_before_the_answer() {
    let now = start();
    for (state, end) in [
        ("Trying", End::TransportFailed),
        ("Proceeding", End::TransportFailed),
        ("Completed", End::Ended),
    ] {
        let mut machine = in_state(now, state);
        assert_eq!(machine.flow_failed().end, Some(end), "{state}");
        assert_eq!(machine.flow_failed(), Step::nothing());
        assert_eq!(receive(&mut machine, now, false, 200), Step::nothing());
        assert_eq!(machine.timeout(now + secs(99), &TIMERS), Step::nothing());
    }
}
