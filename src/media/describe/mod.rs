//! The describing half of media: what a party is told in our name, and what its own description means for our end.
//!
//! **Owns** [`OurEnd`], one for each leg whose media passes through the edge, and [`Endpoints`]: the ports, the counter and
//! the secret that make ends differ, and the queue of [`MediaCommand`]s. **Refuses** to decide *whether* a leg's media passes
//! through the edge and who hears whom: `leg::media` does, from policy, descriptions and holds.
//!
//! An end follows the dialog's offers and answers (RFC 3264): what we offer holds from the party's answer on, what we answer
//! holds at once, what is refused never held. Its o-line counts up with every change of the text and with nothing else.
//!
//! | protection | transport protocol | port | where |
//! |---|---|---|---|
//! | none | RTP/AVP | its own | phones, trunks |
//! | keys | RTP/SAVP | its own | phones by policy, or that offer it |
//! | DTLS | UDP/TLS/RTP/SAVP(F) | its own | phones that offer it without ICE |
//! | DTLS behind ICE | UDP/TLS/RTP/SAVPF | the shared one | browsers |
//!
//! ```
//! use warmline::media::Hear;
//! use warmline::media::describe::{Choice, Endpoints, Kind, MediaSettings};
//! use warmline::sdp::Description;
//! use warmline::vocabulary::LegHandle;
//!
//! let mut endpoints = Endpoints::new(MediaSettings::default());
//! let (leg, peer) = (LegHandle { slot: 1, generation: 1 }, LegHandle { slot: 2, generation: 1 });
//! let mut end = endpoints.open(leg, Kind::Plain, "192.0.2.1".parse().unwrap(), None)?;
//! let other = "v=0\r\no=a 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n";
//! let other = Description::parse(other.into()).unwrap();
//! let settings = &endpoints.settings;
//! let choice = Choice { settings, direction: other.direction(), hear: Hear::Leg(peer), origin: (7, 1), first: true };
//! let (text, _) = end.describe(&other, choice, false)?;
//! assert!(text.starts_with(b"v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n"));
//! endpoints.close(leg, &end);
//! # Ok::<(), warmline::media::describe::Unusable>(())
//! ```

mod codecs;
mod end;
mod kept;
mod ports;
mod read;
mod secrets;
mod settings;
#[cfg(test)]
mod tests;
mod unusable;
mod write;

use std::collections::VecDeque;
use std::net::IpAddr;

pub use end::{Choice, OurEnd};
pub use kept::{StoredEnd, StoredHear};
pub use read::MOST_FORMATS;
pub use settings::{MediaSettings, Mode, PeerMedia, Record, Srtp};
pub use unusable::Unusable;

use super::{LocalPort, MediaCommand};
use crate::sdp::{Description, Protection};
use crate::vocabulary::LegHandle;
use ports::Ports;

/// What is spoken with a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// RTP/AVP.
    Plain,
    /// RTP/SAVP, keys in the descriptions.
    Keys,
    /// DTLS-SRTP without ICE.
    Dtls,
    /// DTLS-SRTP behind ICE: a browser.
    Browser,
}

impl Kind {
    /// What a description speaks.
    pub fn of(description: &Description) -> Kind {
        let has = |words: &[u8]| memchr::memmem::find(description.bytes(), words).is_some();
        if !has(b"/SAVP") && !has(b"a=fingerprint:") {
            return Kind::Plain; // nearly all, and seen without reading every line
        }
        match description.protection() {
            Protection::None => Kind::Plain,
            Protection::Keys => Kind::Keys,
            Protection::Dtls if has(b"a=ice-ufrag:") => Kind::Browser,
            Protection::Dtls => Kind::Dtls,
        }
    }
}

/// Checks that an offer could be answered by an end of ours.
///
/// # Errors
/// What stands against it.
pub fn check(description: &Description) -> Result<(), Unusable> {
    let remote = read::Remote::read(description)?;
    if remote.live { Ok(()) } else { Err(Unusable::NoAudio) }
}

/// What all ends share.
#[derive(Debug)]
pub struct Endpoints {
    /// As configured.
    pub settings: MediaSettings,
    /// For the packet half, oldest first.
    pub commands: VecDeque<MediaCommand>,
    ports: Ports,
    serial: u64,
}

impl Endpoints {
    /// No ends yet.
    pub fn new(settings: MediaSettings) -> Endpoints {
        let (first, last) = settings.ports;
        Endpoints {
            ports: Ports::new(first, last),
            commands: VecDeque::new(),
            serial: 0,
            settings,
        }
    }

    /// An end for a leg. `address` is that of the flow, for where the configuration names none; `source` is where the
    /// party's signalling comes from.
    ///
    /// # Errors
    /// [`Unusable::NoPort`].
    pub fn open(
        &mut self,
        leg: LegHandle,
        kind: Kind,
        address: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<OurEnd, Unusable> {
        let local = match kind {
            Kind::Browser => LocalPort::Shared,
            Kind::Plain | Kind::Keys | Kind::Dtls => LocalPort::Own(self.ports.take().ok_or(Unusable::NoPort)?),
        };
        self.serial += 1;
        let address = self.settings.address.unwrap_or(address);
        Ok(OurEnd::new(
            leg,
            kind,
            local,
            address,
            source,
            self.serial,
            &self.settings,
        ))
    }

    /// The leg has ended, or its media goes another way from now on.
    pub fn close(&mut self, leg: LegHandle, end: &OurEnd) {
        self.give_back(end);
        if end.is_told() {
            self.commands.push_back(MediaCommand::Close { leg });
        }
    }

    fn give_back(&mut self, end: &OurEnd) {
        match end.local() {
            LocalPort::Own(port) => self.ports.give_back(port),
            LocalPort::Shared => {}
        }
    }

    /// Another program has the port of this end, which gets another one. `false`: there is none.
    pub fn move_on(&mut self, end: &mut OurEnd) -> bool {
        let LocalPort::Own(_) = end.local() else { return false };
        let Some(port) = self.ports.take() else { return false };
        self.ports.lose();
        end.move_to(port);
        end.tell(&mut self.commands);
        true
    }

    /// Another process has these, until [`Endpoints::allow`].
    pub fn avoid(&mut self, ports: &[u16]) {
        self.ports.avoid(ports);
    }

    /// That process has ended.
    pub fn allow(&mut self) {
        self.ports.allow();
    }

    /// How many ports are taken.
    pub fn ports_taken(&self) -> usize {
        self.ports.taken()
    }
}
