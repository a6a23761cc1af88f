//! What the legs of a hub report, and what is done about it.

use std::time::Instant;

use super::super::{Calls, Demand};
use super::{conflict, not_found};
use crate::leg::{Leg, LegEvent, ReferProgress};
use crate::sip::Uri;
use crate::vocabulary::{CallHandle, Cause, HubNote, LegHandle, Refusal};

impl Calls {
    /// A leg of a hub: a participant, or one that rings.
    pub(crate) fn hub_reported(
        &mut self,
        now: Instant,
        handle: CallHandle,
        leg: LegHandle,
        event: LegEvent,
    ) -> Option<Demand> {
        let takes_part = self.hub(handle)?.participant(leg).is_some();
        match event {
            LegEvent::Ringing { status, .. } => self.fork_rings(now, handle, leg, status),
            LegEvent::Answered { description } => self.fork_answered(now, handle, leg, description.as_ref()),
            LegEvent::Refused { status, .. } => self.fork_gone(now, handle, leg, status),
            LegEvent::Acked { .. } => self.member_acked(now, handle, leg),
            LegEvent::Offered { .. } => self.answer_member(now, handle, leg),
            LegEvent::OfferAnswered { .. } => self.member_answered(now, handle, leg),
            LegEvent::OfferRefused { status } => self.member_refused(now, handle, leg, status),
            LegEvent::Refreshed { .. } => self.settle_member(now, leg),
            LegEvent::Released { cause } if takes_part => self.member_left(now, handle, leg, cause),
            LegEvent::Released { .. } => {
                self.forget_leaving(handle, leg);
                self.fork_gone(now, handle, leg, 487);
            }
            LegEvent::Asked { server, request } => self.legs.take_alone(now, leg, server, &request),
            LegEvent::Referred { server, request } => {
                return Some(Demand::Refer {
                    call: handle,
                    transferor: leg,
                    server,
                    request,
                });
            }
            LegEvent::Progress(progress) => self.referred(now, handle, leg, progress),
            LegEvent::ReportSettled => {
                if self.forget_leaving(handle, leg) {
                    self.release_leaving(now, leg);
                }
            }
        }
        None
    }

    /// The ACK of a caller whose INVITE had no offer has the answer. Without one nobody hears anybody (RFC 3261 §13.2.2.4).
    fn member_acked(&mut self, now: Instant, handle: CallHandle, leg: LegHandle) {
        if self.legs.get(leg).is_some_and(|leg| leg.remote.is_none()) {
            self.legs.release(now, leg, Cause::Lost);
            self.member_left(now, handle, leg, Cause::Lost);
        } else {
            self.remix(handle);
        }
    }

    /// Sends a party away by REFER.
    ///
    /// # Errors
    /// When it is in no hub, not answered, or sent away already.
    pub fn refer_party(&mut self, now: Instant, leg: LegHandle, to: &Uri) -> Result<(), Refusal> {
        self.hub_of(leg)?;
        let party = self.legs.get(leg).ok_or_else(|| not_found("leg", leg))?;
        if !party.is_confirmed() {
            return Err(conflict(format!("{leg} is not answered yet")));
        }
        if self.legs.is_referred(leg) {
            return Err(conflict(format!(
                "{leg} was sent a REFER already; wait for hub.referred"
            )));
        }
        let referred_by = party.contact.clone();
        self.legs.refer(now, leg, format_args!("<{to}>"), Some(&referred_by));
        Ok(())
    }

    /// What a party says of a REFER of ours. RFC 5589 §6: once it has its new call, the edge drops out.
    fn referred(&mut self, now: Instant, handle: CallHandle, leg: LegHandle, progress: ReferProgress) {
        let (status, last) = match progress {
            ReferProgress::Accepted => return,
            ReferProgress::Trying(status) => (status, false),
            ReferProgress::Refused(status) | ReferProgress::Final(status) => (status, true),
            // It said nothing of the outcome, and will not.
            ReferProgress::Ended => (408, true),
        };
        self.note(HubNote::Referred {
            call: handle,
            leg,
            status,
            last,
        });
        if last && (200..300).contains(&status) && self.legs.get(leg).is_some_and(Leg::is_confirmed) {
            self.legs.release(now, leg, Cause::Transferred);
            self.member_left(now, handle, leg, Cause::Transferred);
        }
    }
}
