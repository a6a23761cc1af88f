//! What protecting and opening one RTP packet costs: ours ([`Secure`] with keys from descriptions) beside `rtc-srtp`,
//! which every part of the `webrtc` family uses, with replay protection on.
//!
//! Packets of 20 ms of G.711: 12 octets of header, 160 of payload. Times are wall-clock medians of interleaved rounds; allocations are
//! callgrind's. `--quick` makes fewer rounds.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "shared/mod.rs"]
mod shared;

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use rtc_srtp::context::Context;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;
use shared::{callgrind, median};
use warmline::media::secure::{Arrived, Certificate, Secure};
use warmline::media::{Security, SrtpKey, SrtpProfile};

const PACKETS: u16 = 20_000;
const CASES: [(&str, SrtpProfile, ProtectionProfile, usize); 2] = [
    ("gcm", SrtpProfile::AeadAes128Gcm, ProtectionProfile::AeadAes128Gcm, 28),
    (
        "sha1_80",
        SrtpProfile::AesCm128HmacSha1_80,
        ProtectionProfile::Aes128CmHmacSha1_80,
        30,
    ),
];

/// Of the function that callgrind counts.
const COUNTED: &str = "counted_round";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, case, side] = arguments.as_slice()
        && flag == "--count"
    {
        let (_, ours, theirs, length) = CASES.into_iter().find(|(name, ..)| name == case).expect("a case");
        let mut round = side_by_name(side, ours, theirs, length);
        round.run(100); // streams and buffers are there
        return counted_round(&mut round);
    }
    let rounds = if arguments.iter().any(|argument| argument == "--quick") {
        9
    } else {
        41
    };
    for (name, ours, theirs, length) in CASES {
        let mut times: [[Vec<f64>; 2]; 2] = Default::default();
        for _ in 0..rounds {
            for (at, side) in ["ours", "rtc-srtp"].into_iter().enumerate() {
                let mut round = side_by_name(side, ours, theirs, length);
                let (protect, open) = round.run(PACKETS);
                times[at][0].push(protect);
                times[at][1].push(open);
            }
        }
        for (at, side) in ["ours", "rtc-srtp"].into_iter().enumerate() {
            let allocations = match callgrind::count(COUNTED, &["--count", name, side]) {
                Ok(count) => format!("{:.2}", count.allocations as f64 / f64::from(2 * PACKETS)),
                Err(reason) => format!("not counted ({})", reason.lines().next().unwrap_or("no valgrind")),
            };
            println!(
                "{name:>8} {side:>9}: protect {:>4.0} ns, open {:>4.0} ns, allocations a packet {allocations}",
                median(&times[at][0]),
                median(&times[at][1]),
            );
        }
        for (what, at) in [("protect", 0), ("open", 1)] {
            println!(
                "ratio srtp/{name}_{what} {:.3}",
                median(&times[0][at]) / median(&times[1][at])
            );
        }
    }
}

#[inline(never)]
fn counted_round(round: &mut Round) {
    round.run(PACKETS);
}

enum Round {
    Ours {
        sender: Box<Secure>,
        receiver: Box<Secure>,
        next: u16,
    },
    Theirs {
        sender: Box<Context>,
        receiver: Box<Context>,
        next: u16,
    },
}

fn side_by_name(side: &str, ours: SrtpProfile, theirs: ProtectionProfile, length: usize) -> Round {
    let octets: Vec<u8> = (0..length as u8).map(|n| n.wrapping_mul(37)).collect();
    if side == "ours" {
        let key = SrtpKey {
            profile: ours,
            key_and_salt: Bytes::from(octets),
        };
        let security = Security::Sdes {
            ours: key.clone(),
            theirs: Some(key),
        };
        let (certificate, now) = (certificate(), Instant::now());
        let open = || Box::new(Secure::new(now, &security, &certificate));
        return Round::Ours {
            sender: open(),
            receiver: open(),
            next: 0,
        };
    }
    let provider = rtc_dtls::crypto_provider::default_provider().expect("ring");
    let (key, salt) = octets.split_at(16);
    let open = || {
        let replay = (Some(srtp_replay_protection(128)), Some(srtcp_replay_protection(128)));
        let context = Context::new(key, salt, theirs, replay.0, replay.1, provider.crypto());
        Box::new(context.expect("a context"))
    };
    Round::Theirs {
        sender: open(),
        receiver: open(),
        next: 0,
    }
}

fn certificate() -> Certificate {
    let key = rcgen::KeyPair::generate().expect("randomness");
    let certificate = rcgen::CertificateParams::default().self_signed(&key).expect("a key");
    Certificate::from_der(certificate.der().to_vec(), &key.serialize_der()).expect("a certificate")
}

impl Round {
    /// Nanoseconds to protect and to open one packet.
    fn run(&mut self, packets: u16) -> (f64, f64) {
        let mut clear = [0x5a; 172];
        clear[0] = 0x80;
        clear[1] = 0;
        let mut sealed: Vec<Vec<u8>> = vec![Vec::with_capacity(200); usize::from(packets)];
        let (protect, open);
        match self {
            Round::Ours { sender, receiver, next } => {
                for packet in &mut sealed {
                    clear[2..4].copy_from_slice(&next.to_be_bytes());
                    *next = next.wrapping_add(1);
                    packet.extend_from_slice(&clear);
                }
                let start = Instant::now();
                for packet in &mut sealed {
                    assert!(sender.protect_rtp(black_box(packet)));
                }
                protect = start.elapsed();
                let (from, now) = ("192.0.2.1:4000".parse().expect("an address"), Instant::now());
                let start = Instant::now();
                for packet in &mut sealed {
                    assert_eq!(receiver.handle_datagram(now, from, black_box(packet)), Arrived::Rtp);
                }
                open = start.elapsed();
            }
            Round::Theirs { sender, receiver, next } => {
                let mut out = Vec::with_capacity(sealed.len());
                for packet in &mut sealed {
                    clear[2..4].copy_from_slice(&next.to_be_bytes());
                    *next = next.wrapping_add(1);
                    packet.extend_from_slice(&clear);
                }
                let start = Instant::now();
                for packet in &sealed {
                    out.push(sender.encrypt_rtp(black_box(packet)).expect("protected"));
                }
                protect = start.elapsed();
                let start = Instant::now();
                for packet in &out {
                    black_box(receiver.decrypt_rtp(packet).expect("opened"));
                }
                open = start.elapsed();
            }
        }
        let per = |total: std::time::Duration| total.as_nanos() as f64 / f64::from(packets);
        (per(protect), per(open))
    }
}
