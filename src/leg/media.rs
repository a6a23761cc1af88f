//! Whether a leg's media passes through the edge, and what its party is told then.
//!
//! Layers above hand descriptions from party to party as if the edge were not there: `leg.remote` is what the party said,
//! `leg.sent` what it was sent of another's. Here, where a description is printed for a party or read from one, our own end
//! ([`crate::media::describe::OurEnd`]) steps in between when it must. Directly passed descriptions stay octet for octet.
//!
//! | way | when |
//! |---|---|
//! | through | a party is in a hub ([`super::voice`]) or recorded; `relay` by policy; the two speak different protocols; one of them is a browser that has talked with us before (its SSRC, msid and m-lines never change, LESSONS 30) |
//! | music | hold music is configured, and one of the two is held by the other or by the API |
//! | direct | else |
//!
//! A call moves up and down with the offers that pass anyway. A leg that gives the edge's media up keeps its end until its
//! party has accepted the other way; an answer takes effect at once.
//!
//! RFC 3264 §8 (one session id, the version counted up) · RFC 8445 §9, RFC 8842 §5 (a browser's session) · RFC 5359 §2.2 (music on hold).

mod orders;

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::voice::is_voice;
use super::{Leg, LegHandle, Legs};
use crate::media::describe::{Choice, Kind, Mode, OurEnd, PeerMedia, Record, Srtp, Unusable};
use crate::media::{Hear, LegQuality, MediaCommand, PromptName, RecordingName};
use crate::sdp::{Description, Direction};
use crate::transport::{Flow, Network, Transport};
use crate::vocabulary::{Event, MediaNote, QualityView};

/// What a leg knows of its media.
#[derive(Debug, Default)]
pub(crate) struct LegMedia {
    /// What holds for its peer.
    pub(crate) policy: PeerMedia,
    /// What the party turned out to speak, before it has described itself.
    pub(crate) kind: Option<Kind>,
    /// Our end, while the media passes through the edge.
    pub(crate) end: Option<Box<OurEnd>>,
    /// Only of few legs.
    pub(crate) more: Option<Box<More>>,
}

impl LegMedia {
    /// Changes with what outlives the process.
    pub(super) fn stamp(&self, into: &mut impl Hasher) {
        let more = self.more.as_ref();
        more.is_some_and(|more| more.recording.is_some()).hash(into);
        more.and_then(|more| more.music.as_ref()).hash(into);
        if let Some(end) = &self.end {
            end.stamp(into);
        }
    }
}

/// What few legs have.
#[derive(Debug, Default)]
pub(crate) struct More {
    /// The recording, and whether it has begun.
    pub(crate) recording: Option<(RecordingName, bool)>,
    /// What this party hears while it is held, instead of the configured music.
    pub(crate) music: Option<PromptName>,
    pub(crate) quality: Option<LegQuality>,
}

/// What a party is sent, and what is kept of it.
#[derive(Debug)]
pub(crate) struct Presented {
    /// The body.
    pub(crate) wire: Bytes,
    /// The other party's description in the direction that holds for this one.
    pub(crate) kept: Description,
}

/// The way of a leg's media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Direct,
    /// Better through the edge; without a free port it goes directly.
    Music,
    Through,
}

/// The mark of a leg's descriptions.
pub(crate) fn mark(handle: LegHandle) -> u64 {
    (u64::from(handle.generation) << 32 | u64::from(handle.slot)).wrapping_add(1)
}

/// Whose description it is.
fn author(description: &Description) -> Option<LegHandle> {
    let mark = description.mark().checked_sub(1)?;
    Some(LegHandle {
        slot: u32::try_from(mark & u64::from(u32::MAX)).ok()?,
        generation: u32::try_from(mark >> 32).ok()?,
    })
}

impl Leg {
    /// What the party speaks, as far as it is known.
    fn speaks(&self) -> Kind {
        if let Some(end) = &self.media.end {
            return end.kind();
        }
        if let Some(remote) = &self.remote {
            return Kind::of(remote);
        }
        self.media.kind.unwrap_or(match self.dialog.flow.transport {
            Transport::Ws | Transport::Wss => Kind::Browser,
            Transport::Udp | Transport::Tcp | Transport::Tls => match self.media.policy.srtp {
                Srtp::Off => Kind::Plain,
                Srtp::Preferred | Srtp::Required => Kind::Keys,
            },
        })
    }

    /// Our end, if the party was told of it. One that was opened for what the other side may say to this party is not yet.
    pub(crate) fn our_end(&self) -> Option<&OurEnd> {
        self.media.end.as_deref().filter(|end| end.is_described())
    }

    /// Our description that holds for the party.
    pub(crate) fn our_text(&self) -> Option<&Bytes> {
        self.our_end().map(OurEnd::text).filter(|text| !text.is_empty())
    }

    /// Whether its media passes through the edge.
    pub fn is_anchored(&self) -> bool {
        self.our_end().is_some_and(|end| !end.leaving)
    }

    fn is_recorded(&self) -> bool {
        self.media.more.as_ref().is_some_and(|more| more.recording.is_some())
    }

    /// A browser that has talked with us goes on talking with us.
    fn is_bound(&self) -> bool {
        self.our_end().is_some_and(|end| end.kind() == Kind::Browser)
    }

    fn plays(&self) -> bool {
        self.media.end.as_ref().is_some_and(|end| end.plays())
    }

    /// How well its media passes, as last counted.
    pub(crate) fn quality(&self) -> Option<QualityView> {
        let counted = self.media.more.as_ref()?.quality?;
        Some(QualityView {
            received: counted.received,
            sent: counted.sent,
            lost: counted.lost,
            refused: counted.refused,
            jitter_ms: counted.jitter_ms,
            round_trip_ms: counted.round_trip_ms,
            mos: counted.mos,
        })
    }

    /// A description as this party may see it: one session id for the leg's life, the version counted up with every change (RFC 3264 §8).
    fn present_directly(&mut self, description: &Description) -> Description {
        if self.we_called && self.is_early() {
            return description.clone(); // the offer of an INVITE has its origin already
        }
        let same = description.with_origin(self.origin.0, self.origin.1);
        if self.our_end().is_none() && self.sent.as_ref().is_none_or(|sent| sent.bytes() == same.bytes()) {
            return same;
        }
        self.origin.1 += 1;
        description.with_origin(self.origin.0, self.origin.1)
    }
}

impl Legs {
    /// What holds for parties at this address.
    pub(crate) fn media_policy(&self, address: IpAddr) -> PeerMedia {
        let known = self.peers.iter().find(|(network, _)| network.contains(address));
        known.map_or(self.default_media(), |(_, policy)| *policy)
    }

    fn default_media(&self) -> PeerMedia {
        PeerMedia {
            mode: self.endpoints.settings.mode,
            srtp: self.endpoints.settings.srtp,
            record: self.endpoints.settings.record,
        }
    }

    /// Sets what holds for the parties of later legs, by their network; the first match wins.
    pub fn set_media_peers(&mut self, peers: Vec<(Network, PeerMedia)>) {
        self.peers = peers;
    }

    /// Checks an offer that a party makes us before anybody hears of it.
    ///
    /// # Errors
    /// When the party must protect its media and does not, or when our end could not answer it.
    pub fn check_offer<'a>(
        &self,
        flow: &Flow,
        mut targets: impl Iterator<Item = &'a Flow>,
        offer: &Description,
    ) -> Result<(), Unusable> {
        let policy = self.media_policy(flow.remote.ip());
        let kind = Kind::of(offer);
        if policy.srtp == Srtp::Required && kind == Kind::Plain {
            return Err(Unusable::Required);
        }
        if self.endpoints.settings.mode == Mode::Off {
            return Ok(());
        }
        let through = |target: &Flow| {
            let theirs = self.media_policy(target.remote.ip());
            let browser = matches!(target.transport, Transport::Ws | Transport::Wss);
            theirs.mode == Mode::Relay || browser != (kind == Kind::Browser)
        };
        if policy.mode == Mode::Relay || policy.record != Record::No || targets.all(through) {
            return crate::media::describe::check(offer);
        }
        Ok(())
    }

    /// Which way the media of `leg` goes when it talks with `with`, whose description speaks `kind`, in this direction.
    fn way(&self, leg: &Leg, with: Option<&Leg>, kind: impl Fn() -> Kind, direction: Direction, answer: bool) -> Way {
        if leg.cause.is_some() {
            return if leg.media.end.is_some() {
                Way::Through
            } else {
                Way::Direct
            };
        }
        let relay = |leg: &Leg| leg.media.policy.mode == Mode::Relay;
        if leg.is_recorded() || with.is_some_and(Leg::is_recorded) {
            Way::Through
        } else if self.endpoints.settings.mode == Mode::Off {
            Way::Direct
        } else if relay(leg)
            || leg.is_bound()
            || with.is_some_and(|with| relay(with) || with.is_bound())
            || (leg.speaks() != kind())
        {
            Way::Through
        } else if self.music(leg, with, direction, answer).is_some()
            || (direction != Direction::SendRecv && with.is_some_and(Leg::plays))
        {
            Way::Music
        } else {
            Way::Direct
        }
    }

    /// What a party hears that is held: by the API, or because the other one holds it.
    fn music(&self, leg: &Leg, with: Option<&Leg>, direction: Direction, answer: bool) -> Option<PromptName> {
        let own = leg.media.more.as_ref().and_then(|more| more.music.as_ref());
        let name = own.or(self.endpoints.settings.hold_music.as_ref())?;
        if !leg.is_confirmed() || leg.media.policy.mode == Mode::Off {
            return None;
        }
        let with = with?;
        let by_command = leg.held_by_command.is_some() || with.held_by_command.is_some();
        let held = match direction {
            // A party that only listens by its own wish is not held.
            Direction::SendOnly if answer => leg.held_by_command.is_some() || with.holding,
            Direction::SendOnly => true,
            // RFC 3264 §8.4: the other phone holds with `inactive` or `c=0.0.0.0`; ours may listen all the same.
            Direction::Inactive => !answer && !by_command && !leg.holding,
            Direction::SendRecv | Direction::RecvOnly => false,
        };
        held.then(|| name.clone())
    }

    /// Whether the media of `of` goes the way that it should when it talks with `with` in this direction.
    pub fn goes_its_way(&self, of: &Leg, with: &Leg, direction: Direction) -> bool {
        let Some(remote) = &with.remote else { return true };
        match self.way(of, Some(with), || Kind::of(remote), direction, false) {
            Way::Direct => !of.is_anchored(),
            Way::Music => true,
            Way::Through => {
                let whose = |sent: &Description| sent.mark() == remote.mark();
                let moved = of.media.end.as_ref().is_some_and(|end| end.moved);
                of.is_anchored() && !moved && of.sent.as_ref().is_none_or(whose)
            }
        }
    }

    /// Whether two parties that talk with each other, both ways, would do so through the edge.
    pub fn meet_at_edge(&self, one: &Leg, other: &Leg) -> bool {
        let kind = || other.remote.as_ref().map_or(Kind::Plain, Kind::of);
        self.way(one, Some(other), kind, Direction::SendRecv, false) == Way::Through
    }

    /// A description as this party may see it: the other's own, or ours in its place.
    ///
    /// # Errors
    /// When it has to be ours, and there is no common ground or no port; nothing has changed.
    pub(crate) fn present(
        &mut self,
        handle: LegHandle,
        description: &Description,
        is_answer: bool,
    ) -> Result<Presented, Unusable> {
        let with = author(description).filter(|author| *author != handle);
        let leg = self.get(handle).ok_or(Unusable::Gone)?;
        let other = with.and_then(|with| self.get(with));
        let kind = || Kind::of(description);
        let way = match is_voice(description) {
            true => Way::Through,
            false => self.way(leg, other, kind, description.direction(), is_answer),
        };
        let ours = match way {
            Way::Direct => None,
            Way::Music | Way::Through => Some(self.present_ours(handle, with, description, is_answer)),
        };
        match ours {
            Some(Ok(ours)) => return Ok(ours),
            Some(Err(error)) => {
                let unheard = |leg: &Leg| leg.media.end.as_ref().is_some_and(|end| !end.is_described());
                if self.get(handle).is_some_and(unheard) {
                    self.close_end(handle);
                }
                if way == Way::Through {
                    return Err(error);
                }
            }
            None => {}
        }
        let leg = self.table.get_mut(handle.into()).ok_or(Unusable::Gone)?;
        let kept = leg.present_directly(description);
        match &mut leg.media.end {
            Some(end) if !is_answer => end.leaving = true,
            Some(_) => self.close_end(handle),
            None => {}
        }
        Ok(Presented {
            wire: kept.bytes().clone(),
            kept,
        })
    }

    fn present_ours(
        &mut self,
        handle: LegHandle,
        with: Option<LegHandle>,
        description: &Description,
        is_answer: bool,
    ) -> Result<Presented, Unusable> {
        self.open_end(handle)?;
        if let Some(with) = with.filter(|with| self.get(*with).is_some_and(Leg::is_alive)) {
            self.open_end(with)?;
        }
        let leg = self.get(handle).ok_or(Unusable::Gone)?;
        let other = with.and_then(|with| self.get(with));
        let music = self.music(leg, other, description.direction(), is_answer);
        let (direction, hear) = match (music, other) {
            (Some(name), _) => (Direction::SendOnly, Hear::Prompt { name, again: true }),
            (None, Some(other)) => (description.direction(), Hear::Leg(other.handle)),
            // The mixer says what it hears.
            (None, None) if is_voice(description) => (description.direction(), Hear::Nothing),
            // What it has is said once more, and whoever said it first is gone.
            (None, None) => {
                let hears = leg.media.end.as_ref().and_then(|end| end.hears());
                (description.direction(), hears.cloned().unwrap_or(Hear::Nothing))
            }
        };
        let leg = self.table.get_mut(handle.into()).ok_or(Unusable::Gone)?;
        let end = leg.media.end.as_mut().ok_or(Unusable::Gone)?;
        let choice = Choice {
            settings: &self.endpoints.settings,
            direction,
            hear,
            origin: leg.origin,
            first: leg.sent.is_none(),
        };
        let (wire, version) = end.describe(description, choice, is_answer)?;
        leg.origin.1 = version;
        end.tell(&mut self.endpoints.commands);
        self.start_recording(handle);
        Ok(Presented {
            wire,
            kept: description.clone(),
        })
    }

    fn open_end(&mut self, handle: LegHandle) -> Result<(), Unusable> {
        let leg = self
            .get(handle)
            .filter(|leg| leg.cause.is_none())
            .ok_or(Unusable::Gone)?;
        if leg.media.end.is_some() {
            return Ok(());
        }
        let (kind, flow, remote) = (leg.speaks(), leg.dialog.flow, leg.remote.clone());
        // With somebody else, whose description it was sent.
        let leg_talks = leg.is_confirmed() && leg.sent.is_some();
        let written = self.identity.host_port(&flow).parse::<SocketAddr>();
        let address = written.map_or(flow.local.ip(), |written| written.ip());
        let source = Some(flow.remote.ip());
        let mut end = match self.endpoints.open(handle, kind, address, source) {
            Ok(end) => end,
            Err(error) => {
                let taken = self.endpoints.ports_taken();
                self.events
                    .push_back(Event::Media(MediaNote::NoPort { leg: handle, taken }));
                return Err(error);
            }
        };
        if let Some(remote) = remote
            && let Err(error) = end.take(&remote, true)
        {
            self.endpoints.close(handle, &end);
            return Err(error);
        }
        if leg_talks {
            end.take_over();
        }
        if let Some(leg) = self.get_mut(handle) {
            leg.media.end = Some(Box::new(end));
        }
        Ok(())
    }

    /// Our end of the leg goes; its port is free again.
    pub(crate) fn close_end(&mut self, handle: LegHandle) {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return;
        };
        if let Some(more) = &mut leg.media.more
            && let Some((_, begun @ true)) = &mut more.recording
        {
            *begun = false;
            self.endpoints
                .commands
                .push_back(MediaCommand::StopRecording { leg: handle });
        }
        if let Some(end) = leg.media.end.take() {
            self.endpoints.close(handle, &end);
        }
    }

    /// What the party says of itself, for our end.
    ///
    /// # Errors
    /// When our end cannot use it.
    pub(crate) fn hear_party(
        &mut self,
        handle: LegHandle,
        description: &Description,
        is_offer: bool,
    ) -> Result<(), Unusable> {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return Ok(());
        };
        let Some(end) = &mut leg.media.end else { return Ok(()) };
        if end.leaving && !is_offer {
            self.close_end(handle);
            return Ok(());
        }
        let taken = end.take(description, is_offer);
        end.tell(&mut self.endpoints.commands);
        if let Err(error) = &taken {
            let why = error.to_string();
            self.events
                .push_back(Event::Media(MediaNote::Failed { leg: handle, why }));
        }
        taken
    }

    /// The same for an answer: one that our end cannot use is none.
    pub(crate) fn usable(&mut self, handle: LegHandle, answer: Option<Description>) -> Option<Description> {
        let answer = answer?;
        self.hear_party(handle, &answer, false).is_ok().then_some(answer)
    }

    /// The party refused our offer.
    pub(crate) fn forget_offer(&mut self, handle: LegHandle) {
        if let Some(leg) = self.table.get_mut(handle.into())
            && let Some(end) = &mut leg.media.end
        {
            end.refused();
            end.tell(&mut self.endpoints.commands);
        }
    }

    /// The party refused a protection that was only supposed: it is offered RTP/AVP next. `false`: it has been, or must not be.
    pub(crate) fn speak_plainly(&mut self, handle: LegHandle) -> bool {
        let supposed = self.get(handle).is_some_and(|leg| {
            leg.media.end.is_some()
                && leg.remote.is_none()
                && leg.media.kind.is_none()
                && leg.speaks() != Kind::Plain
                && leg.media.policy.srtp != Srtp::Required
        });
        if supposed {
            self.close_end(handle);
            if let Some(leg) = self.get_mut(handle) {
                leg.media.kind = Some(Kind::Plain);
            }
        }
        supposed
    }
}
