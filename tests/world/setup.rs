//! How a test gets to where it begins.

use warmline::engine::{Listener, MediaSettings, Settings, User};
use warmline::phone::{CallState, Phone, PhoneCall, PhoneConfig};
use warmline::transport::Transport;

use super::{ALICE, BOB, CAROL, DOMAIN, EDGE, EVERYBODY, Who, World};

/// An open edge with its own registrar.
pub(super) fn settings() -> Settings {
    let listener = |transport| Listener {
        transport,
        address: EDGE,
        advertised: EDGE,
    };
    Settings {
        domain: DOMAIN.to_owned(),
        listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
        media: MediaSettings::default(),
        ..Settings::loopback(EDGE)
    }
}

/// The users with their passwords, for an edge that is not open.
pub(crate) fn users() -> Vec<User> {
    EVERYBODY
        .iter()
        .map(|who| User {
            name: who.user().to_owned(),
            password: who.password(),
        })
        .collect()
}

/// Where a warm transfer begins: bob called alice, alice holds him, called carol, and carol answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Warm {
    /// Alice's call with bob.
    pub(crate) customer: PhoneCall,
    /// Alice's call with carol.
    pub(crate) consult: PhoneCall,
    /// Bob's call with alice.
    pub(crate) at_bob: PhoneCall,
    /// Carol's call with alice.
    pub(crate) at_carol: PhoneCall,
}

impl World {
    pub(crate) fn register_everybody(&mut self) {
        for who in EVERYBODY {
            self.seat(who).register();
        }
        self.run();
        for who in EVERYBODY {
            assert!(self.phone(who).is_registered(), "{} is registered", who.user());
        }
    }

    /// What lies on `desk` is from now on another phone of `user`'s, at its own address, and not registered.
    pub(crate) fn another_phone(&mut self, desk: Who, user: Who) {
        let config = PhoneConfig::new(user.user(), &user.password(), DOMAIN, desk.address(), EDGE);
        self.phones[desk as usize] = Phone::new(config);
    }

    /// `caller` calls `callee`, who answers: the caller's call and the callee's.
    pub(crate) fn call(&mut self, caller: Who, callee: Who) -> (PhoneCall, PhoneCall) {
        let outgoing = self.seat(caller).call(callee);
        self.advance(super::millis(300));
        assert_eq!(
            self.phone(caller).state(outgoing),
            Some(CallState::Early),
            "{} rings",
            callee.user()
        );
        let incoming = self.seat(callee).pick_up();
        self.run();
        assert_eq!(
            self.phone(caller).state(outgoing),
            Some(CallState::Connected),
            "{} answered",
            callee.user()
        );
        (outgoing, incoming)
    }

    /// The customer calls the operator, who holds him and calls the consult; the consult has answered.
    pub(crate) fn warm(&mut self) -> Warm {
        let (at_bob, customer) = self.call(BOB, ALICE);
        self.consult(customer, at_bob)
    }

    /// The same, but the operator had called the customer.
    pub(crate) fn warm_by_caller(&mut self) -> Warm {
        let (customer, at_bob) = self.call(ALICE, BOB);
        self.consult(customer, at_bob)
    }

    fn consult(&mut self, customer: PhoneCall, at_bob: PhoneCall) -> Warm {
        self.alice().hold(customer);
        self.run();
        assert!(self.phone(ALICE).is_holding(customer), "alice holds bob");
        assert!(self.phone(BOB).is_held(at_bob), "bob knows that he is held");
        let (consult, at_carol) = self.call(ALICE, CAROL);
        Warm {
            customer,
            consult,
            at_bob,
            at_carol,
        }
    }

    /// Hangs up the one call that a phone has.
    pub(crate) fn hang_up(&mut self, who: Who) {
        let call = self.the(who);
        self.seat(who).bye(call);
        self.run();
    }

    /// The one live call of a phone.
    pub(crate) fn the(&self, who: Who) -> PhoneCall {
        match self.phone(who).live().as_slice() {
            [call] => *call,
            calls => panic!("{} has {} live calls, not one", who.user(), calls.len()),
        }
    }
}

impl World {
    /// These hang up whatever calls they have, in whatever state, until they have none.
    pub(crate) fn everybody_leaves(&mut self, who: &[Who]) {
        for _ in 0..12 {
            for who in who.iter().copied() {
                for call in self.phone(who).live() {
                    match self.phone(who).state(call) {
                        Some(CallState::Ringing) => self.seat(who).reject(480),
                        Some(CallState::Calling | CallState::Early) => self.seat(who).cancel(call),
                        Some(CallState::Connected) => self.seat(who).bye(call),
                        Some(CallState::Ended(_)) | None => {}
                    }
                }
            }
            self.run();
            if who.iter().all(|who| self.phone(*who).live().is_empty()) {
                return;
            }
        }
    }
}
