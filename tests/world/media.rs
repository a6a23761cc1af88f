//! What a test may ask of media that passes through the edge.

use std::collections::BTreeMap;

use warmline::engine::{Input, LegHandle};
use warmline::media::{Endpoint, Hear, MediaCommand, MediaEvent};

use super::{Who, World};

impl World {
    /// Every order to the packet half, oldest first.
    pub(crate) fn media(&self) -> &[MediaCommand] {
        &self.media
    }

    /// The packet half tells something.
    pub(crate) fn tell(&mut self, event: MediaEvent) {
        self.engine.handle_input(self.now, Input::Media(event));
        self.pump();
    }

    /// Endpoints that are open.
    pub(crate) fn ends(&self) -> Vec<LegHandle> {
        self.endpoints().into_keys().collect()
    }

    fn endpoints(&self) -> BTreeMap<LegHandle, (Endpoint, Option<Hear>)> {
        let mut open = BTreeMap::new();
        for command in &self.media {
            match command {
                MediaCommand::Endpoint { leg, endpoint } => {
                    open.entry(*leg).or_insert(((**endpoint).clone(), None)).0 = (**endpoint).clone();
                }
                MediaCommand::Hear { leg, what } => {
                    open.get_mut(leg).expect("an endpoint that hears").1 = Some(what.clone());
                }
                MediaCommand::Close { leg } => {
                    open.remove(leg).expect("an endpoint that is closed");
                }
                MediaCommand::Digits { leg, .. }
                | MediaCommand::Record { leg, .. }
                | MediaCommand::StopRecording { leg } => {
                    open.get(leg).expect("an endpoint that plays or is recorded");
                }
                MediaCommand::Mix { .. }
                | MediaCommand::Announce { .. }
                | MediaCommand::StopAnnouncing { .. }
                | MediaCommand::RecordHub { .. }
                | MediaCommand::StopRecordingHub { .. } => {}
            }
        }
        open
    }

    /// The endpoint of a leg as it is now.
    pub(crate) fn end(&self, leg: LegHandle) -> Option<Endpoint> {
        self.endpoints().get(&leg).map(|(endpoint, _)| endpoint.clone())
    }

    /// What the party of a leg hears.
    pub(crate) fn hears(&self, leg: LegHandle) -> Option<Hear> {
        self.endpoints().get(&leg).and_then(|(_, hear)| hear.clone())
    }

    /// The description that a phone was sent last in its one call, as text.
    pub(crate) fn told(&self, who: Who) -> String {
        let call = self.the(who);
        let remote = self.phone(who).remote(call).expect("a description");
        String::from_utf8(remote.bytes().to_vec()).expect("text")
    }

    /// Whether the two talk through the edge: each hears the other's leg, both ways, by endpoints that know their party.
    pub(crate) fn relayed(&mut self, one: Who, other: Who) -> bool {
        let (a, b) = (self.leg_of(one), self.leg_of(other));
        self.why = [(&a, &b), (&b, &a)]
            .into_iter()
            .filter_map(|(of, with)| {
                let end = self.end(of.id);
                let right = of.media == "edge"
                    && of.state == "confirmed"
                    && self.hears(of.id) == Some(Hear::Leg(with.id))
                    && end
                        .as_ref()
                        .is_some_and(|end| end.direction == warmline::sdp::Direction::SendRecv && !end.send.is_empty());
                (!right).then(|| format!("{}: hears {:?} by {end:?}", of.id, self.hears(of.id)))
            })
            .collect();
        self.why.is_empty()
    }
}
