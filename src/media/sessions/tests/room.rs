//! Parties with a tone each, who say it every 20 ms and keep all that they are sent: who hears whom is measured by the
//! level at each one's frequency.

use super::*;
use crate::media::audio::{Decoder, Encoder, frame_samples, measure};
use crate::media::{Heard, Hears, Member};
use crate::vocabulary::CallHandle;

pub(super) const HUB: CallHandle = CallHandle { slot: 7, generation: 1 };
/// What a party says, in dBFS; what somebody hears who hears it, and what nobody hears.
pub(super) const SAID: f64 = -20.0;
const HEARD: std::ops::Range<f64> = -23.0..-18.0;
const UNHEARD: f64 = -55.0;

pub(super) struct Party {
    pub(super) leg: LegHandle,
    codec: Codec,
    number: u8,
    /// Of what it hears.
    hears: Codec,
    pub(super) hertz: f64,
    pub(super) talks: bool,
    encoder: Encoder,
    /// Packets said so far.
    pub(super) count: u32,
    /// When, and what.
    pub(super) heard: Vec<(Duration, Header, Vec<u8>)>,
}

/// All of them.
pub(super) struct Room {
    pub(super) world: World,
    pub(super) parties: Vec<Party>,
}

pub(super) fn number(codec: &Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 111,
        Codec::TelephoneEvent { .. } | Codec::ComfortNoise { .. } | Codec::Other { .. } => 101,
    }
}

pub(super) fn in_codec(leg: LegHandle, codec: &Codec) -> Endpoint {
    let clock = if *codec == Codec::Opus { 48_000 } else { 8_000 };
    let payloads = vec![payload(number(codec), codec.clone()), event(101, clock)];
    Endpoint {
        receive: payloads.clone(),
        send: payloads,
        ..endpoint(leg)
    }
}

pub(super) fn speaker(leg: LegHandle) -> Member {
    Member {
        leg,
        heard: Heard::ByAll,
        hears: Hears::All,
    }
}

impl Party {
    /// It is sent another codec than it sends.
    pub(super) fn hears_in(&mut self, codec: &Codec) {
        self.hears = codec.clone();
    }
}

impl Room {
    /// One party for each codec; all talk. The tones lie 90 Hz apart from 300 Hz on.
    pub(super) fn new(codecs: &[Codec]) -> Room {
        let mut world = World::new();
        let party = |(at, codec): (usize, &Codec)| {
            let leg = LegHandle {
                slot: at as u32,
                generation: 3,
            };
            world.open(leg, in_codec(leg, codec));
            Party {
                leg,
                codec: codec.clone(),
                number: number(codec),
                hears: codec.clone(),
                hertz: 300.0 + 90.0 * (at % 32) as f64,
                talks: true,
                encoder: Encoder::new(codec).unwrap(),
                count: 0,
                heard: Vec::new(),
            }
        };
        let parties = codecs.iter().enumerate().map(party).collect();
        Room { world, parties }
    }

    pub(super) fn leg(&self, at: usize) -> LegHandle {
        self.parties[at].leg
    }

    pub(super) fn mix(&mut self, members: Vec<Member>) {
        self.world.command(MediaCommand::Mix { call: HUB, members });
    }

    /// All of them are speakers.
    pub(super) fn conference(&mut self) {
        let members = self.parties.iter().map(|party| speaker(party.leg)).collect();
        self.mix(members);
    }

    /// The next packet of a party.
    pub(super) fn packet(&mut self, at: usize) -> Vec<u8> {
        let party = &mut self.parties[at];
        let rate = party.encoder.rate();
        let samples = frame_samples(rate);
        let start = party.count as usize * samples;
        let tone = measure::tone(party.hertz, SAID, rate, start % rate as usize + samples);
        let mut octets = Vec::new();
        party.encoder.encode(&tone[start % rate as usize..], &mut octets);
        let header = Header {
            marker: party.count == 0,
            payload_type: party.number,
            sequence: (party.count as u16).wrapping_add(65_530),
            timestamp: party.count.wrapping_mul(party.codec.clock() / 50),
            ssrc: 0xaaaa + party.leg.slot,
        };
        party.count += 1;
        let mut packet = Vec::new();
        header.write(&octets, &mut packet);
        packet
    }

    pub(super) fn arrives(&mut self, at: usize, packet: &[u8]) {
        let leg = self.leg(at);
        self.world.datagram(Local::Rtp(port(leg)), party(leg), packet);
    }

    /// So many times 20 ms, in which everybody who talks says its tone.
    pub(super) fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            for at in 0..self.parties.len() {
                if self.parties[at].talks {
                    let packet = self.packet(at);
                    self.arrives(at, &packet);
                }
            }
            self.world.advance(millis(20));
            self.collect();
        }
    }

    pub(super) fn collect(&mut self) {
        let sent = std::mem::take(&mut self.world.sent);
        for one in sent {
            let Some((header, octets)) = one.rtp() else { continue };
            let to = self
                .parties
                .iter_mut()
                .find(|party_| party(party_.leg) == one.to)
                .unwrap();
            to.heard.push((one.at, header, octets.to_vec()));
        }
    }

    /// The sound of all that a party has heard, without the first frames.
    pub(super) fn sound(&self, at: usize, without: usize) -> (Vec<i16>, u32) {
        let party = &self.parties[at];
        let mut decoder = Decoder::new(&party.hears).unwrap();
        let mut pcm = Vec::new();
        for (_, header, octets) in &party.heard {
            assert_eq!(header.payload_type, number(&party.hears));
            assert!(decoder.decode(octets, &mut pcm));
        }
        (pcm.split_off(without * frame_samples(decoder.rate())), decoder.rate())
    }

    /// Who hears whom: one row for each listener, `#` for each voice that it hears, `.` for each that it does not. What is
    /// neither is a failure.
    pub(super) fn matrix(&mut self) -> Vec<String> {
        self.parties.iter_mut().for_each(|party| party.heard.clear());
        self.run(60);
        let row = |at: usize| -> String {
            if self.parties[at].heard.is_empty() {
                return "nothing".to_owned();
            }
            let (pcm, rate) = self.sound(at, 10);
            let tones = self.parties.iter().map(|party| party.hertz);
            tones.map(|hertz| mark(&pcm, rate, hertz)).collect()
        };
        (0..self.parties.len()).map(row).collect()
    }
}

/// The longest stretch without sound, in milliseconds, by 5 ms.
pub(super) fn longest_gap(pcm: &[i16], rate: u32) -> usize {
    let quiet = |block: &[i16]| measure::level(block) < SAID - 15.0;
    let blocks: Vec<bool> = pcm.chunks(rate as usize / 200).map(quiet).collect();
    let runs = blocks.split(|quiet| !quiet).map(<[bool]>::len);
    runs.max().unwrap_or(0) * 5
}

pub(super) fn mark(pcm: &[i16], rate: u32, hertz: f64) -> char {
    match measure::level_at(pcm, rate, hertz) {
        level if HEARD.contains(&level) => '#',
        ..UNHEARD => '.',
        level => panic!("{level} dBFS at {hertz} Hz"),
    }
}

/// Steps of numbers and timestamps from each packet to the next.
pub(super) fn steps(heard: &[(Duration, Header, Vec<u8>)]) -> Vec<(u16, u32)> {
    let step = |pair: &[(Duration, Header, Vec<u8>)]| {
        let (before, after) = (pair[0].1, pair[1].1);
        (
            after.sequence.wrapping_sub(before.sequence),
            after.timestamp.wrapping_sub(before.timestamp),
        )
    };
    heard.windows(2).map(step).collect()
}

/// Everybody gets a packet every 20 ms, and nothing else.
pub(super) fn assert_steady(room: &Room, at: usize, clock: u32) {
    let heard = &room.parties[at].heard;
    assert!(steps(heard).iter().all(|step| *step == (1, clock / 50)), "{at}");
    assert!(heard.windows(2).all(|two| two[1].0 - two[0].0 == millis(20)), "{at}");
}
