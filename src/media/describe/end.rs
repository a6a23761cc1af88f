//! Our end of the media towards one party, through the offers and answers of its dialog.

mod told;

use std::net::IpAddr;

use bytes::Bytes;
use compact_str::CompactString;

use super::Kind;
use super::codecs::{self, Numbers};
use super::read::{Crypto, Line, Protected, Remote, Setup};
use super::secrets::{self, Use};
use super::settings::MediaSettings;
use super::unusable::Unusable;
use super::write::{Shown, Text, head};
use crate::media::{Codec, DtlsRole, Endpoint, Hear, LocalPort, Payload, SrtpKey, SrtpProfile};
use crate::sdp::{Description, Direction, answer_direction};
use crate::vocabulary::LegHandle;

/// What a description of ours is made by.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// As configured.
    pub settings: &'a MediaSettings,
    /// How the party shall send and receive, as our description says it.
    pub direction: Direction,
    /// What the party hears if we send.
    pub hear: Hear,
    /// Session id of the leg, and the version of the last description that the party was sent by whatever way.
    pub origin: (u64, u64),
    /// The party was sent none before.
    pub first: bool,
}

/// What one description of ours says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) payloads: Vec<Payload>,
    pub(super) direction: Direction,
    pub(super) live: bool,
    pub(super) hear: Option<Hear>,
    pub(super) text: Bytes,
}

/// Our end of the media towards one party.
#[derive(Clone, Debug)]
pub struct OurEnd {
    pub(super) leg: LegHandle,
    pub(super) kind: Kind,
    pub(super) local: LocalPort,
    port: u16,
    pub(super) address: IpAddr,
    pub(super) source: Option<IpAddr>,
    pub(super) serial: u64,
    pub(super) secret: [u8; 32],
    pub(super) ssrc: u32,
    pub(super) cname: CompactString,
    /// How often the party has restarted ICE.
    pub(super) restarts: u64,
    pub(super) numbers: Numbers,
    pub(super) theirs: Option<Remote>,
    /// The party's key line that was chosen, and the profile that is ours for it.
    pub(super) chosen: Option<Crypto>,
    pub(super) role: Option<DtlsRole>,
    /// Our offers say `active`: we took a place ([`OurEnd::take_over`]).
    pub(super) begins: bool,
    /// We answered the party's last description, and did not offer.
    pub(super) we_answered: bool,
    /// What holds.
    pub(super) said: Said,
    /// What we have offered.
    offered: Option<Said>,
    /// What stands behind the o-line of the last text, and its version.
    pub(super) tail: String,
    pub(super) version: u64,
    told: Option<Box<Endpoint>>,
    heard: Option<Hear>,
    /// An offer is out that takes the media another way; the end goes when it is accepted.
    pub leaving: bool,
    /// The party was told a port that another program has, or what only a process before this one could keep.
    pub moved: bool,
    /// It began in a process before this one.
    pub(super) adopted: bool,
}

impl OurEnd {
    pub(super) fn new(
        leg: LegHandle,
        kind: Kind,
        local: LocalPort,
        address: IpAddr,
        source: Option<IpAddr>,
        serial: u64,
        settings: &MediaSettings,
    ) -> OurEnd {
        let secret = settings.secret;
        OurEnd {
            leg,
            kind,
            local,
            port: match local {
                LocalPort::Own(port) => port,
                LocalPort::Shared => settings.browser_port,
            },
            address,
            source,
            serial,
            secret,
            ssrc: secrets::number(&secret, serial, Use::Ssrc),
            cname: secrets::name(&secret, serial),
            restarts: 0,
            numbers: Numbers::default(),
            theirs: None,
            chosen: None,
            role: None,
            begins: false,
            we_answered: false,
            said: Said::default(),
            offered: None,
            tail: String::new(),
            version: 0,
            told: None,
            heard: None,
            leaving: false,
            moved: false,
            adopted: false,
        }
    }

    /// Another port, because another program has the one that we wanted; the party is to be told.
    pub(super) fn move_to(&mut self, port: u16) {
        (self.local, self.port) = (LocalPort::Own(port), port);
        self.moved = true;
    }

    /// What is spoken with the party.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where its packets arrive.
    pub fn local(&self) -> LocalPort {
        self.local
    }

    /// Whether the packet half knows of this end.
    pub fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// Whether the party has been sent a description of ours.
    pub fn is_described(&self) -> bool {
        !self.tail.is_empty()
    }

    /// The party has DTLS with somebody else, whose place we take: we begin the new association, and say so. A browser that
    /// stays the client towards a new peer may never get through.
    pub fn take_over(&mut self) {
        self.role = Some(DtlsRole::Active);
        self.begins = true;
    }

    /// The description of ours that holds; empty before there is one.
    pub fn text(&self) -> &Bytes {
        &self.said.text
    }

    /// What the party hears.
    pub fn hears(&self) -> Option<&Hear> {
        self.said.hear.as_ref()
    }

    /// Whether all that the party may send can be mixed: no codec that is only passed on.
    pub fn mixes(&self) -> bool {
        let said = self.offered.as_ref().unwrap_or(&self.said);
        let mixed = |payload: &Payload| match payload.codec {
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus => true,
            Codec::TelephoneEvent { .. } | Codec::ComfortNoise { .. } => true,
            Codec::Other { .. } => false,
        };
        said.live && said.payloads.iter().all(mixed)
    }

    /// What the party hears from now on, where no offer is needed for it.
    pub fn hear(&mut self, hear: Hear) {
        self.said.hear = Some(hear);
    }

    /// Whether the party's offer could be taken.
    ///
    /// # Errors
    /// What stands against it.
    pub fn would_take(&self, offer: &Description) -> Result<(), Unusable> {
        self.clone().take(offer, true)
    }

    /// Whether the party hears a prompt, or will when it accepts what it is offered.
    pub fn plays(&self) -> bool {
        let said = self.offered.as_ref().unwrap_or(&self.said);
        matches!(said.hear, Some(Hear::Prompt { .. }))
    }

    /// The party's description: its offer, or its answer to ours.
    ///
    /// # Errors
    /// When it cannot be used; nothing has changed.
    pub fn take(&mut self, description: &Description, is_offer: bool) -> Result<(), Unusable> {
        let remote = Remote::read(description)?;
        let kind = match &remote.protected {
            Protected::No => Kind::Plain,
            Protected::Keys(_) => Kind::Keys,
            Protected::Dtls { ice: None, .. } => Kind::Dtls,
            Protected::Dtls { ice: Some(_), .. } => Kind::Browser,
        };
        if remote.live && kind != self.kind {
            return Err(Unusable::Changed);
        }
        let mut chosen = self.chosen.clone();
        match &remote.protected {
            Protected::Keys(keys) => chosen = Some(self.choose(keys, is_offer)?),
            Protected::Dtls { setup, ice, .. } => {
                // RFC 8842 §5.3: who was asked to choose has chosen; who lets us choose gets the part it had, at first the active one.
                self.role = match (setup, self.role) {
                    (Setup::Active, _) => Some(DtlsRole::Passive),
                    (Setup::Passive, _) => Some(DtlsRole::Active),
                    (Setup::Either, role) => role.or(Some(DtlsRole::Passive)),
                };
                let restarted = match (ice, self.theirs.as_ref().map(|theirs| &theirs.protected)) {
                    (
                        Some((ufrag, _)),
                        Some(Protected::Dtls {
                            ice: Some((before, _)), ..
                        }),
                    ) => ufrag != before,
                    (Some(_) | None, Some(_) | None) => false,
                };
                if restarted && is_offer {
                    self.restarts += 1;
                }
            }
            Protected::No => {}
        }
        self.chosen = chosen;
        self.numbers.note(&remote.payloads);
        self.theirs = Some(remote);
        if !is_offer {
            self.we_answered = false;
            if let Some(offered) = self.offered.take() {
                self.said = offered;
            }
        }
        Ok(())
    }

    /// RFC 4568 §5.1.2, §5.1.3: the first of an offer that we have; of an answer, the one that names our line.
    fn choose(&self, keys: &[Crypto], is_offer: bool) -> Result<Crypto, Unusable> {
        if is_offer {
            // The line that was chosen before, if it is still there: its packets go on.
            let before = |crypto: &&Crypto| {
                self.chosen
                    .as_ref()
                    .is_some_and(|chosen| chosen.key.profile == crypto.key.profile)
            };
            return keys.iter().find(before).or(keys.first()).cloned().ok_or(Unusable::Key);
        }
        let ours = |crypto: &&Crypto| {
            OFFERED
                .iter()
                .any(|(tag, profile)| *tag == crypto.tag && *profile == crypto.key.profile)
        };
        keys.iter().find(ours).cloned().ok_or(Unusable::Key)
    }

    /// Our description for the party, that it may talk with whoever wrote `other`: the answer to what it last offered, or
    /// our offer. Holds at once, or from the party's answer on. The text, and the version in its o-line.
    ///
    /// # Errors
    /// When there is no common ground; nothing has changed.
    pub fn describe(
        &mut self,
        other: &Description,
        choice: Choice<'_>,
        is_answer: bool,
    ) -> Result<(Bytes, u64), Unusable> {
        let other = Remote::read(other)?;
        let theirs = self.theirs.as_ref().filter(|_| is_answer);
        let transcode = choice.settings.transcode;
        let (payloads, live, direction) = match theirs {
            Some(theirs) if theirs.live && other.live => (
                codecs::answer(&theirs.payloads, &other.payloads, transcode),
                true,
                answer_direction(theirs.direction, choice.direction),
            ),
            Some(theirs) => (
                Some(theirs.payloads.iter().take(1).cloned().collect()),
                false,
                Direction::Inactive,
            ),
            None => {
                let browser = self.kind == Kind::Browser;
                let payloads = codecs::offer(&mut self.numbers, &other.payloads, browser, transcode);
                (payloads, other.live, choice.direction)
            }
        };
        let mut said = Said {
            payloads: payloads.ok_or(Unusable::NoCodec)?,
            direction,
            live,
            hear: Some(match direction.sends() && live {
                true => choice.hear.clone(),
                false => Hear::Nothing,
            }),
            text: Bytes::new(),
        };
        said.text = self.print(&said, &choice, is_answer);
        let text = said.text.clone();
        (self.leaving, self.moved) = (false, false);
        if is_answer {
            (self.said, self.offered, self.we_answered) = (said, None, true);
        } else {
            self.offered = Some(said);
        }
        Ok((text, self.version))
    }

    /// What we offered was refused: everything is as before (RFC 6141 §3).
    pub fn refused(&mut self) {
        (self.offered, self.leaving) = (None, false);
    }

    fn print(&mut self, said: &Said, choice: &Choice<'_>, is_answer: bool) -> Bytes {
        let alone = [Line {
            kind: "audio".into(),
            protocol: CompactString::default(),
            format: "0".into(),
            mid: (self.kind == Kind::Browser).then(|| "0".into()),
            live: true,
        }];
        let theirs = self.theirs.as_ref();
        let (lines, audio) = theirs.map_or((alone.as_slice(), 0), |theirs| (theirs.lines.as_slice(), theirs.audio));
        // RFC 3264 §6: an answer has the transport protocol of its offer.
        let spoken = theirs
            .filter(|theirs| theirs.live)
            .and_then(|theirs| theirs.lines.get(theirs.audio));
        let protocol = spoken.map_or(protocol(self.kind), |line| line.protocol.as_str());
        let browser = self.kind == Kind::Browser;
        let text = Text {
            address: self.address,
            port: self.port,
            protocol,
            shown: self.shown(choice.settings, is_answer),
            lines,
            audio,
            live: said.live,
            bundle: theirs.map_or(browser, |theirs| theirs.bundle),
            mux: self.multiplexes(),
            payloads: &said.payloads,
            direction: said.direction,
            packet_ms: theirs.map_or(20, |theirs| theirs.packet_ms),
            ssrc: self.ssrc,
            cname: &self.cname,
        };
        let tail = text.tail();
        let (id, last) = choice.origin;
        if tail != self.tail || last != self.version {
            // RFC 3264 §8: one more with every change; the first description of all has the version that it was given.
            let first = choice.first && self.tail.is_empty();
            self.version = if first { last } else { last + 1 };
        }
        let text = head(id, self.version) + &tail;
        self.tail = tail;
        Bytes::from(text)
    }

    fn multiplexes(&self) -> bool {
        self.theirs
            .as_ref()
            .map_or(self.kind == Kind::Browser, |theirs| theirs.mux)
    }

    fn shown(&self, settings: &MediaSettings, is_answer: bool) -> Shown {
        match self.kind {
            Kind::Plain => Shown::No,
            Kind::Keys => Shown::Keys(match &self.chosen {
                Some(chosen) if is_answer => vec![(chosen.tag.clone(), self.key(chosen.key.profile))],
                chosen => {
                    // What runs comes first: a phone that takes the best of each offer would change keys in mid-call, and some
                    // (baresip 1.0) then say so and do not do it.
                    let other = |profile| chosen.as_ref().is_some_and(|chosen| chosen.key.profile != profile);
                    let mut lines = OFFERED;
                    lines.sort_by_key(|(_, profile)| other(*profile));
                    let line = |(tag, profile): (&str, SrtpProfile)| (CompactString::from(tag), self.key(profile));
                    lines.map(line).into()
                }
            }),
            Kind::Dtls | Kind::Browser => Shown::Dtls {
                fingerprint: settings.fingerprint,
                setup: match self.role {
                    Some(DtlsRole::Active) if is_answer || self.begins => "active",
                    Some(DtlsRole::Passive) if is_answer => "passive",
                    Some(_) | None => "actpass",
                },
                ice: (self.kind == Kind::Browser).then(|| self.credentials()),
            },
        }
    }

    fn key(&self, profile: SrtpProfile) -> SrtpKey {
        secrets::key(&self.secret, self.serial, profile)
    }

    /// ICE user fragment and password; new ones after each restart (RFC 8445 §9).
    fn credentials(&self) -> (CompactString, CompactString) {
        let serial = self.serial ^ (self.restarts << 40);
        // The counter in front makes it unique, what follows makes it hard to guess.
        let ufrag = compact_str::format_compact!("{serial:x}{}", secrets::token(&self.secret, serial, Use::Ufrag, 8));
        (ufrag, secrets::token(&self.secret, serial, Use::Password, 24))
    }
}

/// Our key lines, the best first (RFC 7714 §14.2, RFC 4568 §6.2).
const OFFERED: [(&str, SrtpProfile); 2] = [
    ("1", SrtpProfile::AeadAes128Gcm),
    ("2", SrtpProfile::AesCm128HmacSha1_80),
];

fn protocol(kind: Kind) -> &'static str {
    match kind {
        Kind::Plain => "RTP/AVP",
        Kind::Keys => "RTP/SAVP",
        Kind::Dtls | Kind::Browser => "UDP/TLS/RTP/SAVPF",
    }
}
