//! The media thread with real sockets: real RTP with a known tone goes in at one end and is found at the other.
//!
//! Each party has a loopback host of its own, so that strangers are strangers by their address.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its sockets fails")]

#[path = "media/phone.rs"]
mod phone;
#[path = "media/tone.rs"]
mod tone;

use std::net::UdpSocket;

use phone::{Phone, ports};
use warmline::driver::{MediaOptions, MediaThread, dtls_certificate};
use warmline::media::audio::{Pcm, g711, measure};
use warmline::media::{
    Codec, Endpoint, Hear, Heard, Hears, MediaCommand, MediaEvent, MediaFailure, Member, PromptName, RecordingName,
};
use warmline::vocabulary::{CallHandle, LegHandle};

const ALICE: LegHandle = LegHandle { slot: 0, generation: 0 };
const BOB: LegHandle = LegHandle { slot: 1, generation: 0 };

type Told = tokio::sync::mpsc::UnboundedReceiver<MediaEvent>;

fn media() -> (MediaThread, Told) {
    start(|_| {})
}

fn start(more: impl FnOnce(&mut MediaOptions)) -> (MediaThread, Told) {
    let (events, told) = tokio::sync::mpsc::unbounded_channel();
    let mut options = MediaOptions::new([127, 0, 0, 1].into(), dtls_certificate().unwrap());
    more(&mut options);
    (MediaThread::start(options, events).unwrap(), told)
}

/// The first thing told that is wanted.
fn told<T>(told: &mut Told, wanted: impl Fn(MediaEvent) -> Option<T>) -> T {
    loop {
        let event = told.blocking_recv().expect("the media thread goes on");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}

fn open(media: &MediaThread, leg: LegHandle, endpoint: Endpoint) {
    let endpoint = Box::new(endpoint);
    media.send(MediaCommand::Endpoint { leg, endpoint });
}

fn hear(media: &MediaThread, leg: LegHandle, source: LegHandle) {
    let what = Hear::Leg(source);
    media.send(MediaCommand::Hear { leg, what });
}

fn bridged(alice: &Phone, bob: &Phone) -> (MediaThread, Told) {
    let (media, told) = media();
    open(&media, ALICE, alice.endpoint(Codec::Pcmu));
    open(&media, BOB, bob.endpoint(Codec::Pcmu));
    hear(&media, ALICE, BOB);
    hear(&media, BOB, ALICE);
    (media, told)
}

#[test]
fn a_tone_goes_through_each_way() {
    let (alice, bob) = (Phone::new([127, 0, 0, 2]), Phone::new([127, 0, 0, 3]));
    let (media, mut told) = bridged(&alice, &bob);
    // The first packet may come before the port is open; it is repeated until one comes through.
    alice.knock(&bob);
    bob.knock(&alice);
    let heard = alice.play(440.0, 50, &bob);
    assert!(tone::is(&heard, 440.0) && !tone::is(&heard, 1_000.0));
    let heard = bob.play(1_000.0, 50, &alice);
    assert!(tone::is(&heard, 1_000.0) && !tone::is(&heard, 440.0));
    assert_eq!(told.try_recv(), Ok(MediaEvent::Flowing { leg: ALICE }));
    assert_eq!(told.try_recv(), Ok(MediaEvent::Flowing { leg: BOB }));
    media.stop();
}

#[test]
fn strangers_are_not_heard_through_real_sockets() {
    let (alice, bob) = (Phone::new([127, 0, 0, 2]), Phone::new([127, 0, 0, 3]));
    let (media, mut told) = bridged(&alice, &bob);
    alice.knock(&bob);
    let stranger = UdpSocket::bind("127.0.0.9:0").unwrap();
    let neighbour = UdpSocket::bind("127.0.0.2:0").unwrap();
    for round in 0..1_000 {
        for _ in 0..50 {
            for socket in [&stranger, &neighbour] {
                socket
                    .send_to(&phone::packet(0, 7, 7, &[0x55; 160]), alice.edge())
                    .unwrap();
            }
        }
        // What comes next through the same socket is Alice's: all that came before was handled and went nowhere.
        assert!(alice.play(440.0, 1, &bob).len() == 160, "{round}");
    }
    media.send(MediaCommand::Close { leg: ALICE });
    let quality = |event| {
        if let MediaEvent::Quality { leg: ALICE, quality } = event {
            Some(quality)
        } else {
            None
        }
    };
    assert_eq!(self::told(&mut told, quality).refused, 100_000);
    media.stop();
}

#[test]
fn a_port_in_use_is_told_and_everybody_else_is_served() {
    let (alice, bob) = (Phone::new([127, 0, 0, 2]), Phone::new([127, 0, 0, 3]));
    let (media, mut told) = bridged(&alice, &bob);
    let taken = ports();
    let _holder = UdpSocket::bind(("127.0.0.1", taken)).unwrap();
    let leg = LegHandle { slot: 2, generation: 0 };
    let mut endpoint = alice.endpoint(Codec::Pcmu);
    endpoint.local = warmline::media::LocalPort::Own(taken);
    open(&media, leg, endpoint);
    let why = MediaFailure::Port { port: taken };
    assert_eq!(told.blocking_recv(), Some(MediaEvent::Failed { leg, why }));
    alice.knock(&bob);
    assert!(tone::is(&alice.play(440.0, 50, &bob), 440.0));
}

#[test]
fn a_shared_port_that_is_taken_is_a_reason_not_to_start_only_where_it_is_needed() {
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let start = |elsewhere| {
        let (events, _told) = tokio::sync::mpsc::unbounded_channel();
        let mut options = MediaOptions::new([127, 0, 0, 1].into(), dtls_certificate().unwrap());
        (options.shared, options.elsewhere) = (Some(taken), elsewhere);
        MediaThread::start(options, events).map(|media| media.shared())
    };
    assert_eq!(start(false).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    let other = start(true).unwrap().unwrap();
    assert!(other.ip() == taken.ip() && other.port() != taken.port() && other.port() != 0);
}

#[test]
fn what_cannot_be_sent_stops_nothing_and_the_end_is_said() {
    let (alice, bob) = (Phone::new([127, 0, 0, 2]), Phone::new([127, 0, 0, 3]));
    let (media, _told) = bridged(&alice, &bob);
    alice.knock(&bob);
    // Nobody may send there.
    let mut nowhere = bob.endpoint(Codec::Pcmu);
    nowhere.remote = Some("255.255.255.255:9".parse().unwrap());
    open(&media, BOB, nowhere);
    for _ in 0..20 {
        alice.send(0, &[0xff; 160]);
    }
    open(&media, BOB, bob.endpoint(Codec::Pcmu));
    alice.knock(&bob);
    assert!(tone::is(&alice.play(440.0, 50, &bob), 440.0));
    let (edge, edge_rtcp) = (alice.edge(), alice.edge().port() + 1);
    media.stop();
    assert!(bob.was_told_bye() && alice.was_told_bye());
    UdpSocket::bind(edge).unwrap();
    UdpSocket::bind(("127.0.0.1", edge_rtcp)).unwrap();
}

#[test]
fn keys_pressed_by_one_are_told_and_reach_the_other() {
    let (alice, bob) = (Phone::new([127, 0, 0, 2]), Phone::new([127, 0, 0, 3]));
    let (media, mut told) = bridged(&alice, &bob);
    alice.knock(&bob);
    for octets in [[9, 0x0a, 0, 160], [9, 0x0a, 1, 64], [9, 0x8a, 3, 32], [9, 0x8a, 3, 32]] {
        alice.press(&octets);
    }
    let digit = |event| {
        if let MediaEvent::Digit {
            leg,
            digit,
            milliseconds,
        } = event
        {
            Some((leg, digit, milliseconds))
        } else {
            None
        }
    };
    assert_eq!(self::told(&mut told, digit), (ALICE, '9', 100));
    let heard: Vec<Vec<u8>> = std::iter::from_fn(|| bob.hear())
        .filter(|payload| payload.len() == 4)
        .take(4)
        .collect();
    assert_eq!(heard[3], [9, 0x8a, 3, 32]);

    let digits = "5".into();
    media.send(MediaCommand::Digits { leg: BOB, digits });
    let heard: Vec<Vec<u8>> = std::iter::from_fn(|| bob.hear())
        .filter(|payload| payload.len() == 4)
        .take(7)
        .collect();
    assert_eq!(
        (&heard[0][..], &heard[6][..]),
        (&[5, 0x0a, 0, 160][..], &[5, 0x8a, 3, 32][..])
    );
}

#[test]
fn music_is_heard_and_a_recording_of_it_is_on_disk() {
    let (alice, bob) = (Phone::new([127, 0, 0, 2]), Phone::new([127, 0, 0, 3]));
    let folder = std::env::temp_dir().join(format!("warmline-recordings-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let wav = tone::wav(1_000.0, 8_000);
    let (media, mut told) = start(|options| {
        options.prompts = vec![(PromptName("music".into()), Pcm::load(&wav).unwrap())];
        options.recordings = Some(folder.clone());
    });
    open(&media, ALICE, alice.endpoint(Codec::Pcmu));
    open(&media, BOB, bob.endpoint(Codec::Pcmu));
    let name = RecordingName("hold-1".into());
    media.send(MediaCommand::Record {
        leg: BOB,
        name: name.clone(),
    });
    let what = Hear::Prompt {
        name: PromptName("music".into()),
        again: true,
    };
    media.send(MediaCommand::Hear { leg: BOB, what });
    let heard: Vec<u8> = std::iter::from_fn(|| bob.hear()).take(75).flatten().collect();
    assert!(tone::is(&heard, 1_000.0));
    // Music makes way for a voice.
    hear(&media, BOB, ALICE);
    alice.knock(&bob);
    media.send(MediaCommand::StopRecording { leg: BOB });
    let recorded = |event| {
        if let MediaEvent::Recorded {
            leg: BOB,
            name,
            milliseconds,
        } = event
        {
            Some((name, milliseconds))
        } else {
            None
        }
    };
    let (of, milliseconds) = self::told(&mut told, recorded);
    assert!(of == name && milliseconds >= 1_400, "{milliseconds}");
    let file = std::fs::read(folder.join("hold-1.wav")).unwrap();
    let right: Vec<i16> = file[44..]
        .chunks_exact(4)
        .map(|frame| i16::from_le_bytes([frame[2], frame[3]]))
        .collect();
    assert!(tone::is_in(&right[800..10_000], 1_000.0));

    // A name that leads elsewhere makes no file, and is told.
    let name = RecordingName("../elsewhere".into());
    media.send(MediaCommand::Record { leg: BOB, name });
    media.send(MediaCommand::StopRecording { leg: BOB });
    let failed = |event| {
        if let MediaEvent::Failed {
            leg: BOB,
            why: MediaFailure::Recording(why),
        } = event
        {
            Some(why)
        } else {
            None
        }
    };
    assert!(self::told(&mut told, failed).contains("letters"));
    media.stop();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn three_phones_in_a_hub_hear_the_other_two() {
    let phones = [2, 3, 4].map(|host| Phone::new([127, 0, 0, host]));
    let tones = [440.0, 1_000.0, 1_500.0];
    let (media, mut told) = media();
    let legs = [0, 1, 2].map(|slot| LegHandle { slot, generation: 0 });
    for (leg, phone) in legs.into_iter().zip(&phones) {
        open(&media, leg, phone.endpoint(Codec::Pcmu));
    }
    let member = |leg| Member {
        leg,
        heard: Heard::ByAll,
        hears: Hears::All,
    };
    let call = CallHandle { slot: 0, generation: 0 };
    media.send(MediaCommand::Mix {
        call,
        members: legs.map(member).to_vec(),
    });
    // The hub's clock is the test's: each phone says the next 20 ms when it has heard some.
    let mut heard = [const { Vec::new() }; 3];
    for round in 0..150 {
        for ((phone, hertz), heard) in phones.iter().zip(tones).zip(&mut heard) {
            heard.push(phone.hear().expect("the hub goes on"));
            phone.send(0, &tone::make(hertz, round * 160, 160));
        }
    }
    for (listener, heard) in heard.iter().enumerate() {
        let latest = heard[50..].concat();
        let pcm: Vec<i16> = latest.iter().map(|code| g711::linear_of_mu_law(*code)).collect();
        for (voice, hertz) in tones.into_iter().enumerate() {
            let level = measure::level_at(&pcm, 8_000, hertz);
            assert_eq!(
                level > -25.0,
                voice != listener,
                "{listener} hears {voice} at {level} dBFS"
            );
        }
    }
    let speaks = |event| matches!(event, MediaEvent::Speaking { on: true, .. }).then_some(());
    (0..3).for_each(|_| self::told(&mut told, speaks));
    media.stop();
}
