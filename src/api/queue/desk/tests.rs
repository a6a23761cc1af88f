use super::*;

struct Test {
    desk: Desk,
    now: Instant,
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Test {
    #[expect(clippy::disallowed_methods, reason = "the one base of virtual time")]
    fn new(rules: Rules) -> Test {
        let now = Instant::now();
        let mut desk = Desk::default();
        desk.set_queue(now, "sales", rules);
        Test { desk, now }
    }

    fn user(&mut self, name: &str, skills: &[&str]) {
        self.desk.set_user(self.now, name, set(skills));
        assert!(self.desk.set_state(self.now, name, UserState::Available));
    }

    fn comes(&mut self, caller: CallerId) {
        self.comes_with(caller, 0);
    }

    fn comes_with(&mut self, caller: CallerId, priority: i64) {
        self.desk
            .enqueue(self.now, "sales", caller, priority)
            .expect("there is room");
    }

    /// Jumps from deadline to deadline.
    fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.desk.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.desk.handle_timeout(self.now);
            assert!(
                self.desk.poll_timeout().is_none_or(|next| next > self.now),
                "time stands still"
            );
        }
        self.now = end;
    }

    /// What is to be done but for positions.
    fn actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(action) = self.desk.poll_action() {
            if !matches!(action, Action::Position { .. }) {
                actions.push(action);
            }
        }
        actions
    }

    /// The one offer that there is.
    fn offer(&mut self) -> (ReservationId, CallerId, String) {
        match &self.actions()[..] {
            [
                Action::Offer {
                    reservation,
                    caller,
                    user,
                },
            ] => (*reservation, *caller, user.clone()),
            other => panic!("not one offer: {other:?}"),
        }
    }
}

#[test]
fn the_longest_idle_user_is_rung_first() {
    let mut test = Test::new(Rules::default());
    test.user("ann", &[]);
    test.advance(seconds(5));
    test.user("bea", &[]);
    test.comes(1);
    let (reservation, _, user) = test.offer();
    assert_eq!(user, "ann");
    assert_eq!(test.desk.accept(test.now, reservation), Some(1));
    test.advance(seconds(60));
    test.desk.done(test.now, "ann");
    test.comes(2);
    assert_eq!(test.offer().2, "bea", "ann has talked a minute ago");
}

#[test]
fn callers_are_served_by_priority_and_then_in_their_order() {
    for (order, wanted) in [(Order::Fifo, [3, 1, 2]), (Order::Lifo, [3, 2, 1])] {
        let mut test = Test::new(Rules {
            order,
            ..Rules::default()
        });
        test.user("ann", &[]);
        assert!(test.desk.set_state(test.now, "ann", UserState::Busy));
        test.comes(1);
        test.comes(2);
        test.comes_with(3, 5);
        assert_eq!(test.actions(), []);
        assert_eq!(test.desk.queue("sales").unwrap().callers, wanted);
        let mut served = Vec::new();
        test.desk.set_state(test.now, "ann", UserState::Available);
        for _ in 0..3 {
            let (reservation, caller, _) = test.offer();
            served.push(caller);
            test.desk.accept(test.now, reservation);
            test.desk.done(test.now, "ann");
        }
        assert_eq!(served, wanted);
    }
}

#[test]
fn who_does_not_answer_is_followed_by_the_next_and_then_the_caller_overflows() {
    let mut test = Test::new(Rules::default());
    test.user("ann", &[]);
    test.user("bea", &[]);
    test.comes(1);
    let (first, _, user) = test.offer();
    assert_eq!(user, "ann");
    test.advance(seconds(20));
    let actions = test.actions();
    let [
        Action::Withdraw { reservation },
        Action::Offer {
            reservation: second,
            user,
            ..
        },
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!((*reservation, user.as_str()), (first, "bea"));
    assert_eq!(test.desk.accept(test.now, first), None, "too late");
    test.desk.decline(test.now, *second);
    assert_eq!(
        test.actions(),
        [Action::Overflow {
            caller: 1,
            why: Overflow::Nobody
        }]
    );
    assert_eq!(test.desk.user("ann"), Some(UserState::Available));
    assert_eq!(test.desk.user("bea"), Some(UserState::Available));
}

#[test]
fn a_caller_waits_for_who_is_busy_but_not_for_who_is_away() {
    let mut test = Test::new(Rules {
        total: Some(seconds(90)),
        ..Rules::default()
    });
    test.comes(1);
    assert_eq!(
        test.actions(),
        [Action::Overflow {
            caller: 1,
            why: Overflow::Nobody
        }]
    );
    test.user("ann", &[]);
    test.desk.set_state(test.now, "ann", UserState::Busy);
    test.comes(2);
    test.advance(seconds(89));
    assert_eq!(test.actions(), []);
    test.advance(seconds(1));
    assert_eq!(
        test.actions(),
        [Action::Overflow {
            caller: 2,
            why: Overflow::Waited
        }]
    );
    test.comes(3);
    test.desk.set_state(test.now, "ann", UserState::Away);
    assert_eq!(
        test.actions(),
        [Action::Overflow {
            caller: 3,
            why: Overflow::Nobody
        }]
    );
}

#[test]
fn a_caller_who_has_waited_enough_stops_the_ringing() {
    let mut test = Test::new(Rules {
        total: Some(seconds(10)),
        ..Rules::default()
    });
    test.user("ann", &[]);
    test.comes(1);
    let (reservation, ..) = test.offer();
    test.advance(seconds(10));
    let expect = [
        Action::Withdraw { reservation },
        Action::Overflow {
            caller: 1,
            why: Overflow::Waited,
        },
    ];
    assert_eq!(test.actions(), expect);
}

#[test]
fn a_caller_who_hangs_up_stops_the_ringing_and_costs_the_user_nothing() {
    let mut test = Test::new(Rules::default());
    test.user("ann", &[]);
    test.advance(seconds(5));
    test.user("bea", &[]);
    test.comes(1);
    let (reservation, ..) = test.offer();
    test.desk.leave(test.now, 1);
    assert_eq!(test.actions(), [Action::Withdraw { reservation }]);
    test.comes(2);
    assert_eq!(test.offer().2, "ann", "still the longest idle");
}

#[test]
fn only_who_has_the_skills_and_is_listed_is_asked() {
    let skills = Rules {
        skills: set(&["french"]),
        ..Rules::default()
    };
    let mut test = Test::new(skills);
    test.user("ann", &["german"]);
    test.user("bea", &["french", "german"]);
    test.comes(1);
    assert_eq!(test.offer().2, "bea");
    let listed = Rules {
        users: set(&["ann"]),
        ..Rules::default()
    };
    let mut test = Test::new(listed);
    test.user("bea", &[]);
    test.comes(1);
    assert_eq!(
        test.actions(),
        [Action::Overflow {
            caller: 1,
            why: Overflow::Nobody
        }]
    );
}

#[test]
fn after_a_call_the_user_wraps_up() {
    let mut test = Test::new(Rules {
        wrap_up: seconds(30),
        ..Rules::default()
    });
    test.user("ann", &[]);
    test.comes(1);
    let (reservation, ..) = test.offer();
    test.desk.accept(test.now, reservation);
    test.comes(2);
    test.advance(seconds(100));
    test.desk.done(test.now, "ann");
    test.advance(seconds(29));
    assert_eq!(
        (test.actions(), test.desk.user("ann").unwrap().as_str()),
        (vec![], "wrap_up")
    );
    test.advance(seconds(1));
    assert_eq!(test.offer().1, 2);
}

#[test]
fn places_and_the_average_wait_are_told() {
    let mut test = Test::new(Rules {
        most: 3,
        ..Rules::default()
    });
    test.user("ann", &[]);
    test.desk.set_state(test.now, "ann", UserState::Busy);
    for caller in 1..=3 {
        test.comes(caller);
    }
    assert_eq!(test.desk.enqueue(test.now, "sales", 4, 0), Err(NotEnqueued::Full));
    assert_eq!(test.desk.enqueue(test.now, "sales", 1, 0), Err(NotEnqueued::Twice));
    assert_eq!(test.desk.enqueue(test.now, "none", 5, 0), Err(NotEnqueued::NoQueue));
    let places = |test: &mut Test| {
        let mut places = Vec::new();
        while let Some(action) = test.desk.poll_action() {
            if let Action::Position { caller, position } = action {
                places.push((caller, position));
            }
        }
        places
    };
    assert_eq!(places(&mut test), [(1, 1), (2, 2), (3, 3)]);
    test.advance(seconds(10));
    test.desk.set_state(test.now, "ann", UserState::Available);
    let reservation = test.desk.reservations.keys().next().copied().unwrap();
    test.desk.accept(test.now, reservation);
    assert_eq!(places(&mut test), [(2, 1), (3, 2)]);
    assert_eq!(test.desk.caller(3).unwrap().1, 2);
    assert_eq!(test.desk.queue("sales").unwrap().average_wait, seconds(10));
    assert_eq!(test.desk.queue("none"), None);
}

#[test]
fn a_user_who_goes_away_while_it_rings_declines_by_it() {
    let mut test = Test::new(Rules::default());
    test.user("ann", &[]);
    test.user("bea", &[]);
    test.comes(1);
    let (reservation, ..) = test.offer();
    test.desk.set_state(test.now, "ann", UserState::Away);
    let actions = test.actions();
    assert_eq!(actions[0], Action::Withdraw { reservation });
    assert!(
        matches!(&actions[1], Action::Offer { user, .. } if user == "bea"),
        "{actions:?}"
    );
    assert_eq!(test.desk.user("ann"), Some(UserState::Away));
}
