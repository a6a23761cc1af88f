//! What the answer to a request of ours means.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::call::{Call, Offer};
use super::client::Purpose;
use super::event::{CallState, EndReason, PhoneCall, PhoneEvent};
use super::request::Request;
use super::{Phone, description};
use crate::sip::{HeaderName, Message, Method};

impl Phone {
    /// 64*T1 went by without an answer: as 408 (RFC 3261 §8.1.3.1).
    pub(super) fn timed_out(&mut self, now: Instant, purpose: Purpose, method: &Method) {
        match purpose {
            Purpose::Register => self.emit(PhoneEvent::RegistrationFailed { status: 408 }),
            Purpose::Invite(call) => {
                self.end(call, EndReason::TimedOut);
                self.report(now, call, 408);
            }
            Purpose::Reinvite(call, _) | Purpose::Update(call, _) => {
                self.roll_back(call);
                self.give_up(now, call);
            }
            Purpose::Cancel(_) | Purpose::Bye(_) => {}
            Purpose::Refer(call) => self.refer_answered(call, 408),
            Purpose::Notify(call) => self.forget_subscription(call),
            Purpose::Raw(call) => self.emit(PhoneEvent::Answered {
                call,
                method: method.clone(),
                status: 408,
            }),
        }
    }

    /// A provisional answer.
    pub(super) fn provisional(&mut self, now: Instant, purpose: Purpose, response: &Message, status: u16) {
        let Purpose::Invite(handle) = purpose else { return };
        let Some(call) = self.calls.get_mut(handle.0) else {
            return;
        };
        if !call.is_live() || status == 100 {
            return;
        }
        call.establish(response);
        if call.state == CallState::Calling {
            call.state = CallState::Early;
            self.emit(PhoneEvent::RingingThere { call: handle });
        }
        self.report(now, handle, status);
    }

    /// A final answer. Returns the ACK that was sent for a 2xx to INVITE, so that it can be repeated.
    pub(super) fn completed(
        &mut self,
        now: Instant,
        purpose: Purpose,
        request: &Request,
        response: Message,
        status: u16,
    ) -> Option<Bytes> {
        let method = request.method.clone();
        match purpose {
            Purpose::Register => self.registration_answered(&response, status),
            Purpose::Invite(call) if status < 300 => return Some(self.accepted(now, call, request, &response)),
            Purpose::Invite(call) => self.refused(now, call, status),
            Purpose::Reinvite(call, _) if status < 300 => {
                let ack = self.changed(now, call, request, &response);
                self.emit(PhoneEvent::Answered {
                    call: Some(call),
                    method,
                    status,
                });
                return Some(ack);
            }
            Purpose::Reinvite(call, offer) => {
                self.roll_back(call);
                match status {
                    // RFC 3261 §14.1: try again, the Call-ID's owner later than the other side.
                    491 => self.retry_later(now, call, offer),
                    408 | 481 => self.give_up(now, call),
                    _ => {}
                }
                self.emit(PhoneEvent::Answered {
                    call: Some(call),
                    method,
                    status,
                });
            }
            Purpose::Cancel(_) => {}
            Purpose::Update(call, _) => self.update_answered(now, call, request, &response, status),
            Purpose::Refer(call) => self.refer_answered(call, status),
            Purpose::Notify(call) => {
                if status >= 300 {
                    self.forget_subscription(call);
                }
            }
            Purpose::Bye(call) => self.emit(PhoneEvent::Answered {
                call: Some(call),
                method,
                status,
            }),
            Purpose::Raw(call) => self.emit(PhoneEvent::Answered { call, method, status }),
        }
        None
    }

    fn accepted(&mut self, now: Instant, handle: PhoneCall, request: &Request, response: &Message) -> Bytes {
        let Some(call) = self.calls.get_mut(handle.0) else {
            return Bytes::new();
        };
        call.establish(response);
        let was_live = call.is_live();
        if was_live {
            call.state = CallState::Connected;
        }
        let ack = self.acknowledge(now, handle, request.cseq, response);
        self.take_timer(now, handle, response);
        if was_live {
            self.emit(PhoneEvent::Connected { call: handle });
            self.report(now, handle, 200);
        } else {
            // The answer crossed our giving up; what was answered must be ended (RFC 3261 §15).
            self.send_bye(now, handle);
        }
        ack
    }

    fn changed(&mut self, now: Instant, handle: PhoneCall, request: &Request, response: &Message) -> Bytes {
        if let Some(call) = self.calls.get_mut(handle.0) {
            call.retarget(response);
        }
        self.take_timer(now, handle, response);
        self.acknowledge(now, handle, request.cseq, response)
    }

    /// ACK of a 2xx, with our answer where the 2xx brought the offer (RFC 3261 §13.2.2.4).
    fn acknowledge(&mut self, now: Instant, handle: PhoneCall, cseq: u32, response: &Message) -> Bytes {
        let description = description(response);
        let Some(call) = self.calls.get_mut(handle.0) else {
            return Bytes::new();
        };
        let mut ack = call.request_numbered(Method::Ack, cseq);
        let complaint = match (description, call.session.is_offering()) {
            (Some(answer), true) => call.session.answered(answer),
            (Some(offer), false) => {
                let complaint = call.session.offered(offer);
                ack = ack.body(
                    "application/sdp",
                    call.session.answer(&self.config, self.script.ignore_direction),
                );
                complaint
            }
            (None, true) => {
                call.session.roll_back();
                Some("a 200 to an offer brought no answer: RFC 3261 §13.2.1".to_owned())
            }
            (None, false) => Some("a 200 to an INVITE without offer brought none: RFC 3261 §14.2".to_owned()),
        };
        if let Some(complaint) = complaint {
            self.complain(complaint);
        }
        self.send_ack(now, &ack)
    }

    fn refused(&mut self, now: Instant, handle: PhoneCall, status: u16) {
        let reason = match status {
            487 => EndReason::Cancelled,
            status => EndReason::Refused(status),
        };
        self.end(handle, reason);
        self.report(now, handle, status);
    }

    /// RFC 3261 §13.2.2.4: a second 2xx from another branch of a fork is acknowledged and ended.
    pub(super) fn refuse_fork(&mut self, now: Instant, purpose: Purpose, response: &Message) {
        let Purpose::Invite(handle) = purpose else { return };
        let Some(call) = self.calls.get(handle.0) else { return };
        let mut other = Call::outgoing(
            call.call_id.clone(),
            call.local_tag.clone(),
            call.local.clone(),
            &call.remote,
            super::session::Session::new(0),
        );
        other.local_cseq = call.local_cseq;
        other.establish(response);
        self.send_ack(now, &other.request_numbered(Method::Ack, response.cseq()));
        let bye = other.request(Method::Bye);
        self.send(now, bye, Purpose::Raw(None));
    }

    fn registration_answered(&mut self, response: &Message, status: u16) {
        let ours = self.config.contact();
        let listed = response
            .values(HeaderName::Contact)
            .any(|contact| contact.contains(&ours));
        match (status, listed) {
            (200, true) => {
                self.registered = true;
                self.emit(PhoneEvent::Registered);
            }
            (200, false) if self.unregistering => {
                self.registered = false;
                self.emit(PhoneEvent::Registered);
            }
            (200, false) => {
                self.complain("200 to REGISTER does not list our contact: RFC 3261 §10.3".to_owned());
                self.emit(PhoneEvent::RegistrationFailed { status });
            }
            (status, _) => self.emit(PhoneEvent::RegistrationFailed { status }),
        }
    }

    /// RFC 3261 §14.1: a re-INVITE that finds nobody ends the dialog, unless somebody has hung up meanwhile.
    fn give_up(&mut self, now: Instant, handle: PhoneCall) {
        if self.calls.get(handle.0).is_some_and(Call::is_live) {
            self.send_bye(now, handle);
        }
    }

    fn roll_back(&mut self, handle: PhoneCall) {
        if let Some(call) = self.calls.get_mut(handle.0) {
            call.session.roll_back();
        }
    }

    fn retry_later(&mut self, now: Instant, handle: PhoneCall, offer: Offer) {
        // 10 ms steps, as §14.1 says; spread by a counter, for a phone has no dice.
        let step = Duration::from_millis(10);
        let spread = self.spread();
        if let Some(call) = self.calls.get_mut(handle.0) {
            let wait = match call.outgoing {
                true => Duration::from_millis(2_100) + step * (spread % 191),
                false => step * (spread % 201),
            };
            call.retry = Some((now + wait, offer));
        }
    }

    /// The sequence number of a request that is sent again with credentials.
    pub(super) fn number_again(&mut self, purpose: Purpose, cseq: u32) -> u32 {
        match purpose.call().and_then(|call| self.calls.get_mut(call.0)) {
            Some(call) => {
                call.local_cseq += 1;
                call.local_cseq
            }
            None => {
                self.register_cseq = self.register_cseq.max(cseq + 1);
                cseq + 1
            }
        }
    }
}
