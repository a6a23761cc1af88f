use super::*;

fn limits() -> RequestLimits {
    RequestLimits {
        source: Rate {
            per_minute: 60,
            burst: 5,
        },
        calls: Rate {
            per_minute: 6,
            burst: 2,
        },
        failures: 3,
        allow: vec![Network {
            address: at("10.0.0.0"),
            prefix: 8,
        }],
        ..RequestLimits::default()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one base of virtual time")]
fn now() -> Instant {
    Instant::now()
}

fn at(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

#[test]
fn a_source_gets_its_burst_and_then_its_rate() {
    let (mut guard, now) = (Guard::new(limits()), now());
    let ask = |guard: &mut Guard, after| guard.request(now + seconds(after), at("192.0.2.1"));
    for _ in 0..5 {
        assert_eq!(ask(&mut guard, 0), Verdict::Welcome);
    }
    assert_eq!(ask(&mut guard, 0), Verdict::TooMuch { news: true });
    assert_eq!(ask(&mut guard, 0), Verdict::TooMuch { news: false });
    assert_eq!(ask(&mut guard, 1), Verdict::Welcome);
    assert_eq!(
        ask(&mut guard, 1),
        Verdict::TooMuch { news: false },
        "still the same flood"
    );
    // Nobody else pays for it, but whoever shares its /64 does.
    assert_eq!(guard.request(now, at("192.0.2.2")), Verdict::Welcome);
    for _ in 0..5 {
        assert_eq!(guard.request(now, at("2001:db8::1")), Verdict::Welcome);
    }
    assert_eq!(
        guard.request(now, at("2001:db8::ffff:1")),
        Verdict::TooMuch { news: true }
    );
    assert_eq!(guard.request(now, at("2001:db8:0:1::1")), Verdict::Welcome);
    // Calm for a while: the next flood is news.
    assert_eq!(ask(&mut guard, 60), Verdict::Welcome);
    for _ in 0..4 {
        ask(&mut guard, 60);
    }
    assert_eq!(ask(&mut guard, 60), Verdict::TooMuch { news: true });
}

#[test]
fn known_networks_are_never_asked() {
    let (mut guard, now) = (Guard::new(limits()), now());
    for _ in 0..1_000 {
        assert_eq!(guard.request(now, at("10.1.2.3")), Verdict::Welcome);
        assert_eq!(guard.failed(now, at("::ffff:10.1.2.3")), None);
    }
}

#[test]
fn bans_double_up_to_a_day_and_are_forgiven() {
    let (mut guard, mut now) = (Guard::new(limits()), now());
    let from = at("192.0.2.1");
    let mut bans = Vec::new();
    for _ in 0..9 {
        assert_eq!(guard.failed(now, from), None);
        assert_eq!(guard.failed(now, from), None);
        let ban = guard.failed(now, from).expect("the third failure bans");
        assert_eq!(guard.request(now + ban - seconds(1), from), Verdict::Banned);
        assert_eq!(guard.request(now + ban, from), Verdict::Welcome);
        bans.push(ban.as_secs());
        now += ban + seconds(1);
    }
    assert_eq!(bans, [900, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, 86_400, 86_400]);
    now += seconds(2 * 86_400);
    assert_eq!((guard.failed(now, from), guard.failed(now, from)), (None, None));
    assert_eq!(guard.failed(now, from), Some(seconds(900)));
}

#[test]
fn slow_failures_are_forgotten() {
    let (mut guard, now) = (Guard::new(limits()), now());
    for minute in 0..100 {
        let after = seconds(minute * 61);
        assert_eq!(guard.failed(now + after, at("192.0.2.1")), None);
        assert_eq!(guard.failed(now + after, at("192.0.2.1")), None);
    }
}

#[test]
fn a_user_has_its_own_measure_of_calls() {
    let (mut guard, now) = (Guard::new(limits()), now());
    let (alice, bob) = ("alice".into(), "bob".into());
    assert!(guard.may_call(now, &alice) && guard.may_call(now, &alice));
    assert!(!guard.may_call(now, &alice));
    assert!(guard.may_call(now, &bob) && guard.may_transfer(now, &alice));
    assert!(!guard.may_call(now + seconds(9), &alice));
    assert!(guard.may_call(now + seconds(10), &alice));
}
