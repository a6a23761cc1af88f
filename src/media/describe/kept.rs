//! What outlives a process of our end of a leg's media, and what the next process makes of it.
//!
//! The port, the keys and the names come back; what is said of codecs is read from the descriptions themselves. Two things
//! do not go on, so that a party refuses nothing:
//!
//! | | what the next process does | why |
//! |---|---|---|
//! | our SRTP with keys in the descriptions | sends under another SSRC | RFC 3711 §3.2.3: another SSRC is another context, which begins with roll-over counter 0 on both sides; no index, and with it no keystream, comes twice (§9.1) |
//! | the party's SRTP | looks for its roll-over counter with the first packet | the packet's tag tells which one is right ([`crate::media::Endpoint::adopted`]) |
//! | DTLS | shows another certificate and takes the active part; behind ICE, with other credentials | RFC 8842 §4: another fingerprint makes a new association, and a browser begins none for less |

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::codecs::Numbers;
use super::end::{OurEnd, Said};
use super::read::{Protected, Remote};
use super::secrets::{self, Use};
use super::write::head;
use super::{Endpoints, Kind};
use crate::media::{DtlsRole, Hear, LocalPort, PromptName};
use crate::sdp::Description;
use crate::vocabulary::LegHandle;

/// What a party hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredHear {
    /// Nothing.
    Nothing,
    /// The party of this leg.
    Leg(LegHandle),
    /// A prompt: once, or again and again.
    Prompt(CompactString, bool),
}

/// Our end of a leg's media as plain data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEnd {
    /// `plain`, `keys`, `dtls` or `browser`.
    pub kind: CompactString,
    /// Its own port; `None`: the shared one.
    pub port: Option<u16>,
    /// As written in our descriptions.
    pub address: IpAddr,
    /// Where the party's signalling comes from.
    pub source: Option<IpAddr>,
    /// With the secret: what keys and names follow from.
    pub serial: u64,
    /// See `serial`.
    pub secret: [u8; 32],
    /// How often the party has restarted ICE.
    pub restarts: u64,
    /// The party's key line that was chosen.
    pub chosen: Option<CompactString>,
    /// We answered the party's last description.
    pub we_answered: bool,
    /// Our description that holds.
    pub text: String,
    /// The version of the last one, whether it holds or not.
    pub version: u64,
    /// What the party hears.
    pub hears: StoredHear,
}

impl std::fmt::Debug for StoredEnd {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredEnd")
            .field("kind", &self.kind)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::Plain, "plain"),
    (Kind::Keys, "keys"),
    (Kind::Dtls, "dtls"),
    (Kind::Browser, "browser"),
];

impl OurEnd {
    /// Changes with what outlives the process.
    pub fn stamp(&self, into: &mut impl Hasher) {
        (self.version, self.local, self.we_answered).hash(into);
        (&self.said.hear, &self.said.text).hash(into);
    }

    /// What outlives the process; `None`: the party has accepted no description of ours yet.
    pub fn stored(&self) -> Option<StoredEnd> {
        if self.said.text.is_empty() {
            return None;
        }
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        Some(StoredEnd {
            kind: kind.map_or("plain", |(_, name)| name).into(),
            port: match self.local {
                LocalPort::Own(port) => Some(port),
                LocalPort::Shared => None,
            },
            address: self.address,
            source: self.source,
            serial: self.serial,
            secret: self.secret,
            restarts: self.restarts,
            chosen: self.chosen.as_ref().map(|chosen| chosen.tag.clone()),
            we_answered: self.we_answered,
            text: String::from_utf8_lossy(&self.said.text).into_owned(),
            version: self.version,
            hears: match &self.said.hear {
                None | Some(Hear::Nothing) => StoredHear::Nothing,
                Some(Hear::Leg(leg)) => StoredHear::Leg(*leg),
                Some(Hear::Prompt { name, again }) => StoredHear::Prompt(name.0.clone(), *again),
            },
        })
    }
}

impl Endpoints {
    /// An end of a process before this one, with the party's last description and the session id of ours. `None`: it cannot
    /// be used any more.
    pub fn restore(&mut self, leg: LegHandle, stored: &StoredEnd, remote: &Description, id: u64) -> Option<OurEnd> {
        let kind = KINDS.iter().find(|(_, name)| *name == stored.kind)?.0;
        let ours = Description::parse(stored.text.clone().into()).ok()?;
        let (said, theirs) = (Remote::read(&ours).ok()?, Remote::read(remote).ok()?);
        let local = match stored.port {
            Some(port) if self.ports.take_back(port) => LocalPort::Own(port),
            Some(_) => return None,
            None => LocalPort::Shared,
        };
        self.serial += 1;
        let mut end = OurEnd::new(
            leg,
            kind,
            local,
            stored.address,
            stored.source,
            stored.serial,
            &self.settings,
        );
        let fresh = secrets::number(&self.settings.secret, self.serial, Use::Ssrc);
        end.secret = stored.secret;
        end.restarts = stored.restarts;
        end.version = stored.version;
        end.tail = behind_head(&stored.text, id, stored.version);
        end.numbers = Numbers::default();
        end.numbers.note(&said.payloads);
        end.numbers.note(&theirs.payloads);
        if let (Protected::Keys(keys), Some(tag)) = (&theirs.protected, &stored.chosen) {
            end.chosen = keys.iter().find(|key| key.tag == *tag).cloned();
        }
        end.we_answered = stored.we_answered;
        end.said = Said {
            payloads: said.payloads,
            direction: said.direction,
            live: said.live,
            hear: Some(match &stored.hears {
                StoredHear::Nothing => Hear::Nothing,
                StoredHear::Leg(leg) => Hear::Leg(*leg),
                StoredHear::Prompt(name, again) => Hear::Prompt {
                    name: PromptName(name.clone()),
                    again: *again,
                },
            }),
            text: ours.bytes().clone(),
        };
        end.theirs = Some(theirs);
        end.adopted = true;
        match kind {
            // Nothing that was signed or agreed names this SSRC.
            Kind::Plain | Kind::Keys => end.ssrc = fresh,
            Kind::Dtls | Kind::Browser => {
                end.ssrc = secrets::number(&stored.secret, stored.serial, Use::Ssrc);
                end.restarts += 1;
                end.role = Some(DtlsRole::Active);
                end.begins = true;
                // The party was told a fingerprint that nobody has any more.
                end.moved = true;
            }
        }
        end.cname = secrets::name(&stored.secret, stored.serial);
        Some(end)
    }
}

/// What stands behind the o-line of a description of ours.
fn behind_head(text: &str, id: u64, version: u64) -> String {
    // Of whatever version: the head has as many lines.
    let lines = head(id, version).lines().count();
    text.split_inclusive('\n').skip(lines).collect()
}
