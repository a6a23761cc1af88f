//! What people with phones, and programs with the API, may do next: for random walks and for fuzzed programs.

use warmline::engine::{Command, HoldDirection, TransferTarget};
use warmline::phone::{CallState, PhoneCall};
use warmline::sip::Uri;

use super::{EVERYBODY, Who, World};

/// Dice that fall the same way for the same seed (splitmix64).
pub(crate) struct Seeded(pub(crate) u64);

/// What people do next.
pub(crate) trait Dice {
    /// Below `sides`.
    fn throw(&mut self, sides: u64) -> u64;

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.throw(from.len() as u64) as usize]
    }
}

impl Dice for Seeded {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// The calls of `who` that are answered.
pub(crate) fn connected(world: &World, who: Who) -> Vec<PhoneCall> {
    let phone = world.phone(who);
    phone
        .live()
        .into_iter()
        .filter(|call| phone.state(*call) == Some(CallState::Connected))
        .collect()
}

/// One thing that one person does, if it fits.
pub(crate) fn act(world: &mut World, dice: &mut impl Dice) {
    let who = dice.pick(&EVERYBODY);
    let other = dice.pick(&EVERYBODY);
    let live = world.phone(who).live();
    if live.is_empty() {
        if who != other {
            world.seat(who).call(other);
        }
        return;
    }
    let call = dice.pick(&live);
    match world.phone(who).state(call) {
        Some(CallState::Ringing) => match dice.throw(6) {
            0 => world.seat(who).reject(486),
            1 => {}
            _ => {
                world.seat(who).pick_up();
            }
        },
        Some(CallState::Calling | CallState::Early) => {
            if dice.throw(4) == 0 {
                world.seat(who).cancel(call);
            }
        }
        Some(CallState::Connected) => talk(world, dice, who, other, call),
        Some(CallState::Ended(_)) | None => {}
    }
}

fn talk(world: &mut World, dice: &mut impl Dice, who: Who, other: Who, call: PhoneCall) {
    let calls = connected(world, who);
    match dice.throw(12) {
        0 | 1 => world.seat(who).hold(call),
        2 | 3 => world.seat(who).resume(call),
        4 => world.seat(who).reinvite_without_offer(call),
        5 => world.seat(who).bye(call),
        6 if who != other => world.seat(who).refer(call, other),
        7 | 8 if calls.len() > 1 => {
            let consult = if calls[0] == call { calls[1] } else { calls[0] };
            world.seat(who).refer_attended(call, consult);
        }
        9 => {
            if let Some(replaces) = world.phone(who).replaces(call) {
                world.seat(who).invite_with_replaces(&other.uri(), &replaces);
            }
        }
        _ if who != other && calls.len() < 3 => {
            world.seat(who).call(other);
        }
        _ => {}
    }
}

/// One thing that a program does over the API.
pub(crate) fn order(world: &mut World, dice: &mut impl Dice) {
    let legs: Vec<_> = world
        .calls()
        .into_iter()
        .flat_map(|call| call.legs.into_iter().map(move |leg| (call.id, leg.id)))
        .collect();
    if legs.is_empty() {
        return;
    }
    let (call, leg) = dice.pick(&legs);
    let (_, other) = dice.pick(&legs);
    let target = match dice.throw(2) {
        0 => TransferTarget::Leg(other),
        _ => TransferTarget::Uri(Uri::parse(&dice.pick(&EVERYBODY).uri()).expect("a URI")),
    };
    let direction = dice.pick(&[HoldDirection::SendOnly, HoldDirection::Inactive]);
    world.command(match dice.throw(12) {
        0..=3 => Command::Hold {
            leg,
            direction,
            music: None,
        },
        4..=6 => Command::Resume { leg },
        7 => Command::HangUpLeg { leg },
        8 => Command::HangUpCall { call },
        _ => Command::StartTransfer {
            transferor: leg,
            target,
            mode: None,
            ring_timeout: None,
            on_failure: None,
        },
    });
}

/// Nobody is held by the API any more.
pub(crate) fn release_all(world: &mut World) {
    for _ in 0..3 {
        let legs: Vec<_> = world
            .calls()
            .into_iter()
            .flat_map(|call| call.legs)
            .map(|leg| leg.id)
            .collect();
        for leg in legs {
            world.command(Command::Resume { leg });
            world.run();
        }
    }
}

/// Everybody puts the receiver down, as often as it takes.
pub(crate) fn go_home(world: &mut World) {
    for _ in 0..12 {
        world.run();
        for who in EVERYBODY {
            for call in world.phone(who).live() {
                match world.phone(who).state(call) {
                    Some(CallState::Ringing) => world.seat(who).reject(480),
                    Some(CallState::Calling | CallState::Early) => world.seat(who).cancel(call),
                    Some(CallState::Connected) => world.seat(who).bye(call),
                    Some(CallState::Ended(_)) | None => {}
                }
            }
        }
        if EVERYBODY.into_iter().all(|who| world.phone(who).live().is_empty()) {
            break;
        }
    }
}
