//! The way of a message: bytes, transaction, dialog. What belongs to no dialog goes to `invite` and `register`.
//!
//! RFC 3261 §8.2, §17, §18.3; RFC 4475 (what is refused, and how).

use std::time::Instant;

use bytes::Bytes;

use super::{Engine, Event};
use crate::dialog::Match;
use crate::leg::{LegHandle, Purpose, TransactionUser};
use crate::sip::{HeaderName, Message, Method, ParseError};
use crate::transaction::{self, Received, ServerHandle};
use crate::transport::Flow;

impl Engine {
    pub(super) fn received(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        // RFC 5626 §4.4.1: keep-alives are no messages.
        if bytes.iter().all(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            return;
        }
        match Message::parse(bytes.clone()).and_then(|message| message.validate().map(|()| message)) {
            Ok(message) => {
                if !self.is_welcome(now, &flow, &message) {
                    return;
                }
                // A process before this one may have asked.
                let decided = matches!(message.status(), Some(200..)) && *message.method() == Method::Invite;
                let copy = (decided && self.keeper.is_some()).then(|| message.clone());
                match (self.legs().transactions.receive(now, flow, message), copy) {
                    (Some(received), _) => self.dispatch(now, flow, received),
                    (None, Some(response)) => self.stray(now, flow, &response),
                    (None, None) => {}
                }
                self.count_failure(now, &flow);
            }
            Err(error) => self.malformed(flow, &bytes, error),
        }
    }

    /// A request that cannot be understood is told what is wrong, as far as it says where to; an ACK and a response never.
    fn malformed(&mut self, flow: Flow, bytes: &Bytes, error: ParseError) {
        let why = error.reason();
        let answer = Message::salvage_as(bytes, error);
        let status = answer.as_ref().and_then(|draft| draft.status());
        if let Some(draft) = answer {
            self.legs().transactions.send_stateless(flow, draft.print());
        }
        self.event(Event::MessageRefused {
            source: flow.remote,
            status,
            why,
        });
    }

    fn dispatch(&mut self, now: Instant, flow: Flow, received: Received<TransactionUser>) {
        match received {
            Received::Request { server, message } => self.request(now, flow, server, message),
            Received::Ack { message } => {
                if let Match::Found(leg) = self.legs().find(&message) {
                    self.legs().ack_received(now, leg.into(), &message);
                }
            }
            Received::Cancel {
                invite: Some(invite), ..
            } => self.legs().cancelled(now, invite),
            Received::Cancel { invite: None, .. } => {}
            Received::Response { client, user, message } => match user {
                TransactionUser::Leg(leg, purpose) => self.legs().response_received(now, leg, purpose, &message),
                TransactionUser::Forwarded(server) => self.forwarded_answered(now, server, client, message),
                TransactionUser::Nobody => {}
            },
        }
    }

    fn request(&mut self, now: Instant, flow: Flow, server: ServerHandle, request: Message) {
        if *request.method() != Method::Invite && request.header(HeaderName::Replaces).is_some() {
            // RFC 3891 §3.
            self.legs().refuse(
                now,
                server,
                &request,
                400,
                Some("Replaces In A Request That Is No INVITE"),
            );
            return;
        }
        if *request.method() != Method::Invite && request.header(HeaderName::Join).is_some() {
            // RFC 3911 §4.
            let reason = Some("Join In A Request That Is No INVITE");
            self.legs().refuse(now, server, &request, 400, reason);
            return;
        }
        let outside = request.to_tag().is_none() || *request.method() == Method::Register;
        if !outside {
            match self.legs().find(&request) {
                Match::Found(leg) => self.legs().request_received(now, leg.into(), flow, server, request),
                // A subscription between phone and PBX comes along the flow that the edge sealed into its Record-Route; what
                // has no such Route gets its 481 there.
                Match::NotOurs if *request.method() != Method::Invite => self.other_request(now, flow, server, request),
                // RFC 3261 §12.2.2; the same answer, at the same cost, for unknown, guessed and forged.
                Match::NotOurs | Match::Forged | Match::Gone(_) | Match::OtherNode(_) | Match::Mismatch => {
                    self.legs().refuse(now, server, &request, 481, None);
                }
            }
            return;
        }
        match request.method() {
            Method::Invite => self.invite(now, flow, server, request),
            Method::Register => self.register(now, flow, server, request),
            Method::Refer => self.refer_outside(now, flow, server, request),
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Options
            | Method::Prack
            | Method::Update
            | Method::Subscribe
            | Method::Notify
            | Method::Info
            | Method::Message
            | Method::Publish
            | Method::Extension(_) => self.other_request(now, flow, server, request),
        }
    }

    /// What transactions come to without a message.
    pub(super) fn transaction_event(&mut self, now: Instant, event: transaction::Event<TransactionUser>) {
        let (client, user, status) = match event {
            transaction::Event::TimedOut { client, user } => (client, user, 408),
            transaction::Event::TransportFailed { client, user } => (client, user, 503),
            transaction::Event::Ended { client, user } => {
                if let TransactionUser::Leg(leg, _) = user {
                    self.legs().forget_ack(leg, client);
                }
                return;
            }
            transaction::Event::ServerTimedOut { server } | transaction::Event::ServerTransportFailed { server } => {
                self.forwarded.remove(&server);
                return;
            }
        };
        match user {
            TransactionUser::Leg(leg, purpose) => self.no_response(now, leg, purpose, status),
            TransactionUser::Forwarded(server) => self.forwarded_unanswered(now, server, client, status),
            TransactionUser::Nobody => {}
        }
    }

    fn no_response(&mut self, now: Instant, leg: LegHandle, purpose: Purpose, status: u16) {
        self.legs().no_response(now, leg, purpose, status);
    }
}
