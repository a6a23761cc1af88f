//! Whatever the network does, every transaction ends, once, and nothing is left behind.

use crate::wire::{Fate, Wire};
use std::time::Duration;
use warmline::sip::Method;
use warmline::transport::Transport;

/// A small generator, so that a failure can be told by its number.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn play(number: u64) {
    let mut dice = Dice(number);
    let transport = if dice.below(4) == 0 {
        Transport::Tcp
    } else {
        Transport::Udp
    };
    // Generations begin next to their wrap, and slots are used again and again.
    let mut wire = Wire::starting_at(transport, u32::MAX - 2);
    let mut weather = dice.clone();
    let loss = dice.below(60);
    wire.fate(move |_| match weather.below(100) {
        roll if transport == Transport::Udp && roll < loss => Fate::Lost,
        roll if transport == Transport::Udp && roll < loss + 15 => Fate::Doubled,
        roll if roll < loss + 40 => Fate::Late(Duration::from_millis(weather.below(1_500))),
        _ => Fate::Arrives,
    });
    let mut started = 0;
    let mut invites = Vec::new();
    for _ in 0..40 {
        wire.ms(dice.below(900));
        match dice.below(6) {
            0 => {
                invites.push(wire.request(Method::Invite));
                started += 1;
            }
            1 => {
                wire.request(Method::Options);
                started += 1;
            }
            2 if !invites.is_empty() => {
                wire.cancel(invites[dice.below(invites.len() as u64) as usize]);
            }
            _ if !wire.asked.is_empty() => {
                let status = [100, 180, 200, 202, 408, 486, 487, 500][dice.below(8) as usize];
                wire.respond_to(dice.below(wire.asked.len() as u64) as usize, status);
            }
            _ => {}
        }
    }
    // In the end every INVITE is answered, so that none rings for ever; the way back is good.
    wire.fate(|_| Fate::Arrives);
    for _ in 0..2 {
        for n in 0..wire.asked.len() {
            wire.respond_to(n, 480);
        }
        for invite in &invites {
            wire.cancel(*invite);
        }
        wire.ms(40_000);
    }
    wire.assert_over();
    let ends = |what: &str| wire.heard.iter().filter(|line| line.ends_with(what)).count();
    assert_eq!(
        ends("ended for a") + ends("timed out for a"),
        started,
        "each request ends exactly once"
    );
}

#[test]
fn every_transaction_ends_once() {
    for number in 0..400 {
        // The number is in the panic's backtrace only if it is said.
        let outcome = std::panic::catch_unwind(|| play(number));
        assert!(outcome.is_ok(), "weather {number}");
    }
}

#[test]
fn the_same_weather_gives_the_same_ladder() {
    let ladder = || {
        let mut wire = Wire::new(Transport::Udp);
        let mut dice = Dice(5);
        wire.fate(move |_| if dice.below(2) == 0 { Fate::Lost } else { Fate::Arrives });
        for _ in 0..20 {
            wire.request(Method::Invite);
            wire.request(Method::Options);
            wire.ms(700);
            for n in 0..wire.asked.len() {
                wire.respond_to(n, 486);
            }
        }
        wire.ms(1_000);
        (wire.ladder, wire.heard)
    };
    assert_eq!(ladder(), ladder());
}
