//! What a test may ask: who talks with whom, what the engine said, what is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use warmline::engine::{
    CallView, Cause, Command, Event, HubNote, LegHandle, LegView, Reply, Totals, TransferFailure, TransferView,
};
use warmline::media::{Hear, LocalPort};
use warmline::observe::{Came, Record, Went};
use warmline::phone::{CallState, Phone, PhoneCall, PhoneEvent};
use warmline::sdp::Description;

use super::{EVERYBODY, Who, World, seconds};

impl World {
    /// Whether `one` and `other` talk: each has exactly one live call, with the other's media address, `sendrecv` on all
    /// ends; and the edge has them as the two legs of one call, having sent each the other's description.
    pub(crate) fn connected(&mut self, one: Who, other: Who) -> bool {
        self.why = self.differences(one, other);
        self.why.is_empty()
    }

    fn differences(&mut self, one: Who, other: Who) -> Vec<String> {
        let mut why = Vec::new();
        let calls = (self.phone(one).live(), self.phone(other).live());
        match (calls.0.as_slice(), calls.1.as_slice()) {
            ([a], [b]) => {
                if !self.phone(one).talks_with(*a, self.phone(other), *b) {
                    why.push(self.media_of(one));
                    why.push(self.media_of(other));
                }
            }
            (a, b) => {
                why.push(format!(
                    "{} has {} live calls, {} has {}",
                    one.user(),
                    a.len(),
                    other.user(),
                    b.len()
                ));
            }
        }
        why.extend(self.edge_differences(one, other));
        why
    }

    fn media_of(&self, who: Who) -> String {
        let phone = self.phone(who);
        let calls = phone.live().into_iter().map(|call| {
            let remote = phone.remote(call).map(|remote| remote.direction().as_str());
            format!(
                "{:?} sends to {:?} ({remote:?})",
                phone.direction(call),
                phone.remote_media(call)
            )
        });
        format!(
            "{} at {}: {}",
            who.user(),
            phone.config().media,
            calls.collect::<Vec<_>>().join(", ")
        )
    }

    /// What the edge itself says about the two.
    fn edge_differences(&mut self, one: Who, other: Who) -> Vec<String> {
        let with = |leg: &LegView, who: Who| leg.address == who.address();
        let calls = self.calls();
        let of_one: Vec<_> = calls
            .iter()
            .filter(|call| call.legs.iter().any(|leg| with(leg, one)))
            .collect();
        let [call] = of_one.as_slice() else {
            return vec![format!("the edge has {} calls with {}", of_one.len(), one.user())];
        };
        let mut why = Vec::new();
        if call.legs.len() != 2 || call.state != "connected" {
            why.push(format!(
                "the edge's call is {} with {} legs",
                call.state,
                call.legs.len()
            ));
        }
        for (who, peer) in [(one, other), (other, one)] {
            let Some(leg) = call.legs.iter().find(|leg| with(leg, who)) else {
                why.push(format!("the edge's call has no leg of {}", who.user()));
                continue;
            };
            let sent = leg
                .sent_description
                .as_ref()
                .and_then(|text| Description::parse(text.clone().into()).ok());
            let media = sent
                .and_then(|sent| sent.media_address())
                .map(|(host, port)| format!("{host}:{port}"));
            if leg.state != "confirmed" || leg.held || leg.holding {
                why.push(format!(
                    "the edge's leg of {} is {}, held {}, holding {}",
                    who.user(),
                    leg.state,
                    leg.held,
                    leg.holding
                ));
            }
            if media != Some(self.phone(peer).config().media.to_string()) {
                why.push(format!(
                    "the edge says that it sent {} the media address {media:?}",
                    who.user()
                ));
            }
        }
        why
    }

    /// The engine's calls.
    pub(crate) fn calls(&mut self) -> Vec<CallView> {
        let id = self.command(Command::Calls);
        match self.reply(id) {
            Some(Ok(Reply::Calls(calls))) => calls.clone(),
            // It was killed before it could say so.
            None if self.is_dead() => Vec::new(),
            other => panic!("no list of calls: {other:?}"),
        }
    }

    /// The engine's one call in which `who` is.
    pub(crate) fn call_of(&mut self, who: Who) -> CallView {
        let calls = self.calls();
        let mut found = calls
            .into_iter()
            .filter(|call| call.legs.iter().any(|leg| leg.address == who.address()));
        let call = found
            .next()
            .unwrap_or_else(|| panic!("the edge has no call with {}", who.user()));
        assert!(
            found.next().is_none(),
            "the edge has more than one call with {}",
            who.user()
        );
        call
    }

    /// The engine's one leg of `who`.
    pub(crate) fn leg_of(&mut self, who: Who) -> LegView {
        let call = self.call_of(who);
        call.legs
            .into_iter()
            .find(|leg| leg.address == who.address())
            .expect("its leg")
    }

    /// All legs of `who`, in the order of the engine's calls.
    pub(crate) fn legs_of(&mut self, who: Who) -> Vec<LegView> {
        let legs = self.calls().into_iter().flat_map(|call| call.legs);
        legs.filter(|leg| leg.address == who.address()).collect()
    }

    pub(crate) fn totals(&mut self) -> Totals {
        let id = self.command(Command::Totals);
        match self.reply(id) {
            Some(Ok(Reply::Totals(totals))) => *totals,
            other => panic!("no totals: {other:?}"),
        }
    }

    pub(crate) fn transfers(&mut self) -> Vec<TransferView> {
        let id = self.command(Command::Transfers);
        match self.reply(id) {
            Some(Ok(Reply::Transfers(transfers))) => transfers.clone(),
            other => panic!("no list of transfers: {other:?}"),
        }
    }

    /// What the engine said, oldest first.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().map(|(_, event)| event)
    }

    /// Forgets the events and phone events so far.
    pub(crate) fn forget_events(&mut self) {
        self.events.clear();
        self.heard.clear();
    }

    /// How many transfers were completed.
    pub(crate) fn completed(&self) -> usize {
        self.events()
            .filter(|event| matches!(event, Event::TransferCompleted { .. }))
            .count()
    }

    /// How transfers failed.
    pub(crate) fn failures(&self) -> Vec<(TransferFailure, Option<u16>)> {
        let failure = |event: &Event| {
            let Event::TransferFailed { reason, status, .. } = event else {
                return None;
            };
            Some((*reason, *status))
        };
        self.events().filter_map(failure).collect()
    }

    /// How calls ended, oldest first.
    pub(crate) fn ends_of_calls(&self) -> Vec<Cause> {
        let cause = |event: &Event| {
            let Event::CallEnded { cause, .. } = event else {
                return None;
            };
            Some(*cause)
        };
        self.events().filter_map(cause).collect()
    }

    /// The statuses that the NOTIFYs to `who` reported, oldest first, of all its calls.
    pub(crate) fn reported(&self, who: Who) -> Vec<u16> {
        let phone = self.phone(who);
        phone
            .calls()
            .flat_map(|call| phone.notified(call))
            .filter_map(|notified| notified.status)
            .collect()
    }

    /// What a phone said to its owner.
    pub(crate) fn heard(&self, who: Who) -> Vec<&PhoneEvent> {
        self.heard
            .iter()
            .filter(|(phone, _)| *phone == who)
            .map(|(_, event)| event)
            .collect()
    }

    /// Where in a phone's own ladder the first line with this beginning stands: `< BYE` was received, `> BYE` sent.
    pub(crate) fn line(&self, who: Who, wanted: &str) -> Option<usize> {
        self.lines(who).iter().position(|line| line.starts_with(wanted))
    }

    /// A phone's own ladder.
    pub(crate) fn lines(&self, who: Who) -> Vec<String> {
        let mark = |sent| if sent { '>' } else { '<' };
        self.phone(who)
            .lines()
            .iter()
            .map(|line| format!("{} {}", mark(line.sent), line.summary))
            .collect()
    }

    /// How many lines of a phone's ladder begin so.
    pub(crate) fn count(&self, who: Who, wanted: &str) -> usize {
        self.lines(who).iter().filter(|line| line.starts_with(wanted)).count()
    }

    /// Whether the first line was seen by `who` before the second, and both were.
    pub(crate) fn in_order(&self, who: Who, first: &str, second: &str) -> bool {
        matches!((self.line(who, first), self.line(who, second)), (Some(first), Some(second)) if first < second)
    }

    /// Complaints of phones that begin so are the test's own doing (lost messages and the like).
    pub(crate) fn tolerate(&mut self, complaint: &'static str) {
        self.tolerated.push(complaint);
    }

    /// No phone saw the edge break a rule.
    pub(crate) fn assert_clean(&self) {
        for phone in &self.phones {
            let complaint = phone
                .complaints()
                .iter()
                .find(|text| !self.tolerated.iter().any(|ok| text.starts_with(ok)));
            assert_eq!(complaint, None, "{} complains", phone.config().user);
        }
    }

    /// Every order was answered.
    pub(crate) fn assert_answered(&self) {
        let missing: Vec<_> = (1..self.next_command)
            .filter(|id| !self.replies.contains_key(id))
            .collect();
        assert_eq!(missing, [] as [u64; 0], "orders without an answer");
    }

    /// Every answered call of a phone is a leg of one of the edge's calls of two; its two phones were told each other's
    /// media address, and each knows whether the other holds it.
    pub(crate) fn assert_paired(&mut self) {
        let mut answered: Vec<(Who, PhoneCall)> = Vec::new();
        for who in EVERYBODY {
            let phone = self.phone(who);
            let calls = phone.live().into_iter();
            answered.extend(
                calls
                    .filter(|call| phone.state(*call) == Some(CallState::Connected))
                    .map(|call| (who, call)),
            );
        }
        let mut alone = answered.clone();
        for call in self.calls() {
            let find = |leg: &LegView| {
                let ours =
                    |(who, call): &&(Who, PhoneCall)| self.phone(*who).call_id(*call) == Some(leg.call_id.as_str());
                *answered
                    .iter()
                    .find(ours)
                    .unwrap_or_else(|| panic!("no phone has {}: {call:?}", leg.id))
            };
            let [one, other] = call.legs.as_slice() else { continue };
            if call.state == "alerting" {
                continue;
            }
            alone.retain(|entry| *entry != find(one) && *entry != find(other));
            for (leg, beyond) in [(one, other), (other, one)] {
                let ((who, mine), (peer, theirs)) = (find(leg), find(beyond));
                let (phone, peer_phone) = (self.phone(who), self.phone(peer));
                let media = match leg.media {
                    "edge" => self.assert_end(leg, beyond, who),
                    _ => peer_phone.config().media.to_string(),
                };
                assert_eq!(
                    phone.remote_media(mine),
                    Some(media),
                    "{} was told where {} listens",
                    who.user(),
                    peer.user()
                );
                let (held, holding) = (phone.is_held(mine), peer_phone.is_holding(theirs));
                assert_eq!(
                    held,
                    holding,
                    "{} knows that {} holds: {call:?}",
                    who.user(),
                    peer.user()
                );
            }
        }
        let alone: Vec<_> = alone
            .into_iter()
            .map(|(who, call)| (who, self.phone(who).call_id(call)))
            .collect();
        assert_eq!(alone, [], "answered calls whose leg is in no call of two");
    }

    /// The end of a leg sends to its phone and lets it hear the other leg of its call, or a prompt while it is held; says
    /// where the phone was told to send.
    fn assert_end(&self, leg: &LegView, beyond: &LegView, who: Who) -> String {
        let end = self.end(leg.id).expect("an end");
        let browser = self.phone(who).config().browser;
        let media = self.phone(who).config().media;
        assert_eq!(end.remote, (!browser).then_some(media), "where {} listens", who.user());
        match self.hears(leg.id) {
            Some(Hear::Leg(heard)) => {
                assert_eq!((heard, beyond.media), (beyond.id, "edge"), "whom {} hears", who.user());
            }
            Some(Hear::Prompt { .. }) => assert!(leg.held || beyond.holding, "{} hears music", who.user()),
            Some(Hear::Nothing) => assert!(!end.direction.sends(), "{} hears nothing", who.user()),
            None => panic!("nobody said what {} hears", who.user()),
        }
        let port = match end.local {
            LocalPort::Own(port) => port,
            LocalPort::Shared => 19_990,
        };
        format!("127.0.0.1:{port}")
    }

    /// Everybody has hung up: no leg, call or transfer is left, and after 64*T1 no transaction; what began has ended
    /// exactly once; no phone saw a rule broken.
    pub(crate) fn assert_nothing_left(&mut self) {
        self.run();
        for who in EVERYBODY {
            assert_eq!(self.phone(who).live(), [], "live calls of {}", who.user());
        }
        let totals = self.totals();
        let left = (totals.dialogs, totals.calls, totals.transfers);
        assert_eq!(left, (0, 0, 0), "legs, calls, transfers that are left");
        self.advance(seconds(33));
        self.run();
        assert_eq!(self.totals().transactions, 0, "transactions after 64*T1");
        assert_eq!(self.totals().media_ports, 0, "media ports that are taken");
        assert_eq!(
            self.ends(),
            Vec::<LegHandle>::new(),
            "media endpoints that were never closed"
        );
        self.assert_ended_once();
        self.assert_recorded_once();
        self.assert_clean();
        assert!(!self.phones.iter().any(Phone::is_busy), "a phone waits for an answer");
    }

    /// What began has ended, each exactly once.
    pub(crate) fn assert_ended_once(&self) {
        let mut lives: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for event in self.events() {
            match event {
                Event::CallStarted { call, .. } => lives.entry(call.to_string()).or_default().0 += 1,
                // One that begins with nobody in it.
                Event::Hub(HubNote::Opened { call, .. }) => lives.entry(call.to_string()).or_default().0 = 1,
                Event::CallEnded { call, .. } => lives.entry(call.to_string()).or_default().1 += 1,
                Event::LegStarted { leg, .. } => lives.entry(leg.to_string()).or_default().0 += 1,
                Event::LegEnded { leg, .. } => lives.entry(leg.to_string()).or_default().1 += 1,
                Event::TransferRequested { transfer, .. } => lives.entry(transfer.to_string()).or_default().0 += 1,
                Event::TransferCompleted { transfer, .. } | Event::TransferFailed { transfer, .. } => {
                    lives.entry(transfer.to_string()).or_default().1 += 1;
                }
                Event::RegistrationAdded { .. }
                | Event::RegistrationRemoved { .. }
                | Event::CallConnected { .. }
                | Event::CallHeld { .. }
                | Event::CallResumed { .. }
                | Event::CallForwarded { .. }
                | Event::CallRestored { .. }
                | Event::LegRinging { .. }
                | Event::LegConfirmed { .. }
                | Event::TransferProgress { .. }
                | Event::Media(_)
                | Event::SourceLimited { .. }
                | Event::SourceBanned { .. }
                | Event::Hub(_)
                | Event::MessageRefused { .. }
                | Event::WebhookFailed { .. } => {}
            }
        }
        for (name, (begun, ended)) in lives {
            assert_eq!((begun, ended), (1, 1), "{name} began and ended, each once");
        }
    }

    /// The call records, in the order in which their calls began.
    pub(crate) fn records(&self) -> Vec<Arc<Record>> {
        let mut records = self.records.all();
        records.sort_by_key(|record| record.started_at);
        records
    }

    /// The record of the one customer's call that there was.
    pub(crate) fn record(&self) -> Arc<Record> {
        match self.records().as_slice() {
            [record] => Arc::clone(record),
            records => panic!("{} records, not one: {records:#?}", records.len()),
        }
    }

    /// Every record is complete, and every leg that ever was is in exactly one of them (or was moved on into another).
    fn assert_recorded_once(&mut self) {
        self.records.settle(self.moment());
        let records = self.records();
        let mut legs = BTreeSet::new();
        for record in &records {
            assert!(record.ended_at.is_some(), "a record that never ends: {record:#?}");
            assert!(
                record.cause.is_some() && !record.legs.is_empty(),
                "a record of nothing: {record:#?}"
            );
            for leg in &record.legs {
                let moved_on = matches!(leg.went, Some(Went::Moved { .. }));
                assert!(
                    legs.insert(leg.leg) || moved_on || leg.came == Came::Moved,
                    "{} in two records",
                    leg.leg
                );
                assert!(
                    leg.ended_at.is_some() && leg.cause.is_some(),
                    "a leg without an end: {leg:#?}"
                );
            }
            for asked in &record.transfers {
                assert!(asked.outcome.is_some(), "a transfer without an outcome: {asked:#?}");
            }
        }
        assert_eq!(legs.len(), self.legs_started, "legs on record");
    }

    /// Every message, with the engine's events among them.
    pub(crate) fn ladder(&self) -> String {
        self.ladder.join("\n")
    }
}
