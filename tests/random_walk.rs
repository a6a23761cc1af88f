//! Four people do with their phones whatever comes to mind, at any moment: hold, transfer, hang up, take over, over a good
//! network and a bad one. In the end everybody hangs up, and nothing may be left.
//!
//! A seed that fails fails again: `WARMLINE_SEED=17 cargo test --test random_walk`. The long form takes
//! `WARMLINE_WALKS=5000` of each kind.

mod world;

use warmline::engine::{Settings, TransferMode};
use warmline::media::PromptName;
use warmline::media::describe::Mode;
use warmline::phone::PhoneTransport;
use world::people::{Dice, Seeded, act, connected, go_home, order, release_all};
use world::{EVERYBODY, Fate, Who, World, millis, seconds, users};

/// What a walk goes through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// A good network, and people.
    Firm,
    /// A network that loses, repeats and reorders.
    Muddy,
    /// A good network, and an API client that gives orders among the people.
    Crowded,
}

/// How its media goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    /// From phone to phone.
    Direct,
    /// Through the edge, whoever it is, with hold music.
    Relay,
    /// From phone to phone, but for those who are held and hear music.
    Music,
    /// Alice and dave are browsers, and there is hold music.
    Browsers,
}

fn walk(seed: u64, steps: u32, ground: Ground) {
    walk_with(seed, steps, ground, Media::Direct);
}

fn walk_with(seed: u64, steps: u32, ground: Ground, media: Media) {
    eprintln!("seed {seed} {media:?}");
    let mut dice = Seeded(seed);
    let mode = match seed % 4 {
        0 | 1 => TransferMode::Native,
        2 => TransferMode::Auto,
        _ => TransferMode::Refer,
    };
    let change = |settings: &mut Settings| {
        settings.transfer = mode;
        settings.open = !seed.is_multiple_of(5);
        settings.users = users();
        if media == Media::Relay {
            settings.media.mode = Mode::Relay;
        }
        if media != Media::Direct {
            settings.media.hold_music = Some(PromptName("hold".into()));
        }
    };
    let browser = |who: Who| media == Media::Browsers && matches!(who, Who::Alice | Who::Dave);
    // A stream loses and reorders nothing.
    let transport = |who: Who| match seed.is_multiple_of(3) && who != Who::Alice && ground != Ground::Muddy {
        _ if browser(who) => PhoneTransport::Wss,
        true => PhoneTransport::Tcp,
        false => PhoneTransport::Udp,
    };
    let mut world = World::unregistered(change, transport);
    for who in EVERYBODY {
        world.seat(who).configure(|config| config.browser = browser(who));
    }
    world.register_everybody();
    if ground == Ground::Muddy {
        let mut network = Seeded(!seed);
        world.network(move |_| match network.throw(40) {
            0 | 1 => Fate::Lose,
            2 => Fate::Twice,
            3 => Fate::Delay(millis(20 + 10 * u64::from(seed as u8 % 4))),
            _ => Fate::Deliver,
        });
        // What is lost or overtaken is nobody's fault.
        world.tolerate("");
    }
    for _ in 0..steps {
        if ground == Ground::Crowded && dice.throw(4) == 0 {
            order(&mut world, &mut dice);
        } else {
            act(&mut world, &mut dice);
        }
        let pause = dice.pick(&[0, 0, 1, 2, 3, 5, 20, 300, 2_500]);
        world.advance(millis(pause));
    }
    world.heal();
    // Longer than a phone rings, and than a re-INVITE is tried: what is left are calls.
    world.advance(seconds(100));
    world.run();
    if ground == Ground::Crowded {
        release_all(&mut world);
    }
    world.assert_paired();
    world.assert_answered();
    go_home(&mut world);
    world.assert_nothing_left();
}

/// A process that ends what the one before it had made ring can die between its ACK and its BYE: that phone learns by its
/// next request that there is nobody (481).
fn hang_up_strays(world: &mut World) {
    let known: Vec<String> = world
        .calls()
        .into_iter()
        .flat_map(|call| call.legs)
        .map(|leg| leg.call_id)
        .collect();
    for who in EVERYBODY {
        for call in connected(world, who) {
            let id = world.phone(who).call_id(call).unwrap_or_default().to_owned();
            if !known.contains(&id) {
                world.seat(who).bye(call);
            }
        }
    }
    world.run();
}

/// The process is killed now and then, at whatever it was about to say, and another one goes on.
fn walk_over_graves(seed: u64, steps: u32, mode: Mode) {
    eprintln!("seed {seed} {mode:?}");
    let mut dice = Seeded(seed);
    let transfer = dice.pick(&[TransferMode::Native, TransferMode::Native, TransferMode::Refer]);
    let mut world = World::keeping(|settings| {
        settings.transfer = transfer;
        settings.media.mode = mode;
    });
    world.tolerate("");
    for _ in 0..steps {
        if dice.throw(10) == 0 {
            world.die_after(dice.throw(12) as usize);
        }
        act(&mut world, &mut dice);
        let pause = dice.pick(&[0, 1, 2, 3, 5, 20, 300, 2_500]);
        world.advance(millis(pause));
        if world.is_dead() {
            world.advance(millis(dice.pick(&[5, 100, 600])));
            world.start_again();
        }
    }
    world.live_on();
    world.advance(seconds(100));
    world.run();
    hang_up_strays(&mut world);
    world.assert_paired();
    go_home(&mut world);
    world.advance(seconds(140));
    world.run();
    for who in EVERYBODY {
        // A caller whose call rang when the process died is never answered (RFC 3261 §9.1: it gives up by itself).
        assert!(connected(&world, who).is_empty(), "{} talks with nobody", who.user());
    }
    let totals = world.totals();
    let left = (totals.dialogs, totals.calls, totals.transfers, totals.media_ports);
    assert_eq!(left, (0, 0, 0, 0), "legs, calls, transfers, ports");
    // Records that are over stay until they are old: there is no file for them here.
    let records = world.records();
    assert!(records.iter().all(|record| record.ended_at.is_some()), "{records:#?}");
    let mut kept = world.kept();
    assert_eq!(kept.remove("note").unwrap_or_default(), records.len(), "records");
    assert_eq!(kept.into_keys().collect::<Vec<_>>(), ["user"]);
}

#[test]
fn whatever_people_do_while_the_process_is_killed_nothing_is_left() {
    for seed in seeds(30) {
        walk_over_graves(seed, 40, Mode::Auto);
        walk_over_graves(seed, 40, Mode::Relay);
    }
}

/// One seed by name, as many as wanted in the long form, or the few of the short one.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (number("WARMLINE_SEED"), number("WARMLINE_WALKS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(many)) => 0..many,
        (None, None) => 0..few,
    }
}

#[test]
fn whatever_people_do_nothing_is_left() {
    for seed in seeds(40) {
        walk(seed, 60, Ground::Firm);
    }
}

#[test]
fn whatever_people_do_over_a_bad_network_nothing_is_left() {
    for seed in seeds(30) {
        walk(seed, 40, Ground::Muddy);
    }
}

#[test]
fn whatever_people_and_programs_do_nothing_is_left() {
    for seed in seeds(40) {
        walk(seed, 60, Ground::Crowded);
    }
}

#[test]
fn whatever_people_and_programs_do_with_media_at_the_edge_nothing_is_left() {
    for seed in seeds(24) {
        for media in [Media::Relay, Media::Music, Media::Browsers] {
            walk_with(seed, 60, Ground::Crowded, media);
        }
    }
}

#[test]
fn whatever_people_do_over_a_bad_network_with_media_at_the_edge_nothing_is_left() {
    for seed in seeds(16) {
        for media in [Media::Relay, Media::Music] {
            walk_with(seed, 40, Ground::Muddy, media);
        }
    }
}
