//! What a test may order of hubs, and ask of them.

use warmline::engine::{
    CallHandle, Command, Event, HubNote, HubSettings, HubView, LegHandle, NewParty, Refusal, Reply, Role,
};
use warmline::media::{Heard, Hears, MediaCommand, Member};
use warmline::sip::Uri;

use super::{Who, World};

impl World {
    /// Gives an order that is answered at once.
    pub(crate) fn order(&mut self, command: Command) -> Result<Reply, Refusal> {
        let id = self.command(command);
        self.reply(id).expect("an answer at once").clone()
    }

    /// An empty hub.
    pub(crate) fn open_hub(&mut self, settings: HubSettings) -> CallHandle {
        match self.order(Command::OpenHub { settings }) {
            Ok(Reply::Call(call)) => call.id,
            other => panic!("no hub: {other:?}"),
        }
    }

    /// Calls somebody into a hub; its legs.
    pub(crate) fn add(&mut self, call: CallHandle, who: Who, role: Role) -> Vec<LegHandle> {
        match self.order(Command::AddParty {
            call,
            party: Box::new(party(who, role)),
        }) {
            Ok(Reply::Legs(legs)) => legs,
            other => panic!("{} is not called: {other:?}", who.user()),
        }
    }

    /// The same, and it answers.
    pub(crate) fn add_and_answer(&mut self, call: CallHandle, who: Who, role: Role) -> LegHandle {
        let legs = self.add(call, who, role);
        self.run();
        self.seat(who).pick_up();
        self.run();
        let [leg] = legs.as_slice() else {
            panic!("{} has one phone", who.user())
        };
        *leg
    }

    /// The caller that waits for the application, and its hub.
    pub(crate) fn arrived(&self) -> (CallHandle, LegHandle) {
        let found = self.events().filter_map(|event| {
            let Event::Hub(HubNote::Arrived { call, leg, .. }) = event else {
                return None;
            };
            Some((*call, *leg))
        });
        found.last().expect("somebody arrived")
    }

    /// The caller's call is answered: its hub and its leg.
    pub(crate) fn arrive(&mut self, who: Who, number: &str, role: Role) -> (CallHandle, LegHandle) {
        self.seat(who).call_uri(&format!("sip:{number}@{}", super::DOMAIN));
        self.run();
        let (call, leg) = self.arrived();
        self.order(Command::Answer { leg, role }).expect("it waits");
        self.run();
        (call, leg)
    }

    /// The hub as observers see it.
    pub(crate) fn hub(&mut self, call: CallHandle) -> HubView {
        match self.order(Command::Call { call }) {
            Ok(Reply::Call(call)) => call.hub.expect("a hub"),
            other => panic!("no hub: {other:?}"),
        }
    }

    /// What the mixer was told last of a hub.
    pub(crate) fn mix(&self, hub: CallHandle) -> Vec<Member> {
        let mut mixes = self.media().iter().rev().filter_map(|command| {
            let MediaCommand::Mix { call, members } = command else {
                return None;
            };
            (*call == hub).then(|| members.clone())
        });
        mixes.next().unwrap_or_default()
    }

    /// How a leg is heard and what it hears.
    pub(crate) fn mixed(&self, hub: CallHandle, leg: LegHandle) -> (Heard, Hears) {
        let member = self.mix(hub).into_iter().find(|member| member.leg == leg);
        let member = member.unwrap_or_else(|| panic!("{leg} is in {hub}"));
        (member.heard, member.hears)
    }

    /// Whether these are the members of a hub, each heard by all and hearing all, by an end that knows its party.
    pub(crate) fn all_speak(&mut self, hub: CallHandle, legs: &[LegHandle]) -> bool {
        let ready = |world: &World, leg: LegHandle| {
            let end = world.end(leg);
            end.is_some_and(|end| end.direction == warmline::sdp::Direction::SendRecv && !end.send.is_empty())
        };
        self.mix(hub).len() == legs.len()
            && legs
                .iter()
                .all(|leg| self.mixed(hub, *leg) == (Heard::ByAll, Hears::All) && ready(self, *leg))
    }

    /// The names of the notes about hubs, oldest first.
    pub(crate) fn hub_notes(&self) -> Vec<&'static str> {
        let names = self.events().filter_map(|event| {
            let Event::Hub(note) = event else { return None };
            Some(note.name())
        });
        names.collect()
    }
}

/// Somebody to be called, as the edge.
pub(crate) fn party(who: Who, role: Role) -> NewParty {
    NewParty {
        to: Uri::parse(&who.uri()).expect("an address"),
        from: None,
        from_name: None,
        role,
        ring_timeout: None,
        headers: Vec::new(),
        peer: None,
        credentials: None,
    }
}
