//! REFER: what the site says to a transfer, and a REFER outside of the dialog that it speaks about.
//!
//! RFC 3515 §2.4, RFC 4538 §5 (Target-Dialog), RFC 7647 §4 (a REFER to a GRUU comes outside of dialogs). A REFER outside
//! of dialogs is served only when it names a live dialog of its sender: both tags, and the same party. Then it works as
//! one inside that dialog, and its NOTIFYs go in the dialog that it made itself.

use std::time::Instant;

use compact_str::CompactString;

use super::route::Caller;
use super::{Denied, Engine};
use crate::call::Demand;
use crate::dialog::{Dialog, Match};
use crate::leg::{LegHandle, LegOwner};
use crate::sip::{Message, TargetDialog};
use crate::transaction::ServerHandle;
use crate::transfer::{Asked, Policy, Referral};
use crate::transport::Flow;
use crate::vocabulary::CallHandle;

/// A REFER outside of dialogs that is not served.
struct Refused(u16, String);

impl Engine {
    pub(super) fn demanded(&mut self, now: Instant, demand: Demand) {
        match demand {
            Demand::Dial { call, dialled } => self.dial_on(now, call, &dialled),
            Demand::Refer {
                call,
                transferor,
                server,
                request,
            } => self.refer(
                now,
                call,
                transferor,
                Referral {
                    server,
                    request,
                    outside: None,
                },
            ),
        }
    }

    fn refer(&mut self, now: Instant, call: CallHandle, transferor: LegHandle, referral: Referral) {
        let Some(referral) = self.refer_about_hub(now, call, transferor, referral) else {
            return;
        };
        if let Some(user) = self.user_of(now, transferor)
            && !self.guard.may_transfer(now, &user)
        {
            self.refuse_too_many(now, referral.server, &referral.request);
            return;
        }
        let Engine {
            settings,
            transfers,
            plugin,
            ..
        } = self;
        let ask = |asked: &Asked<'_>| -> Result<Policy, Denied> {
            if let Some(plugin) = plugin {
                plugin.allow(asked)?;
            }
            Ok(settings.transfer_policy(asked.transferor, asked.transferee))
        };
        transfers.refer_received(now, call, transferor, referral, ask);
    }

    /// A REFER that is in no dialog of ours.
    pub(super) fn refer_outside(&mut self, now: Instant, flow: Flow, server: ServerHandle, request: Message) {
        let target = match TargetDialog::of(&request) {
            Ok(Some(target)) => target,
            // LESSONS 11: refused, never passed along.
            Ok(None) => return self.other_request(now, flow, server, request),
            Err(error) => {
                let reason = error.reason();
                return self.legs().refuse(now, server, &request, error.status(), Some(&reason));
            }
        };
        let caller = self.caller(&flow, &request);
        let user = match self.authenticate(now, flow, &request, caller) {
            Ok(user) => user,
            Err(challenge) => return self.answer(now, server, &challenge),
        };
        match self.named_by(&target, caller, user, &flow, &request) {
            Ok((call, transferor, dialog)) => {
                let outside = Some(dialog);
                self.refer(
                    now,
                    call,
                    transferor,
                    Referral {
                        server,
                        request,
                        outside,
                    },
                );
            }
            Err(Refused(status, reason)) => self.legs().refuse(now, server, &request, status, Some(&reason)),
        }
    }

    /// The sender's leg and its call, and the dialog that the REFER makes.
    fn named_by(
        &mut self,
        target: &TargetDialog,
        caller: Caller,
        user: Option<CompactString>,
        flow: &Flow,
        request: &Message,
    ) -> Result<(CallHandle, LegHandle, Dialog), Refused> {
        let unknown = || Refused(481, "Target-Dialog Matches No Dialog".to_owned());
        let Match::Found(found) = self.legs().find_target(target) else {
            return Err(unknown());
        };
        let handle = LegHandle::from(found);
        let leg = self
            .legs()
            .get(handle)
            .filter(|leg| leg.is_confirmed())
            .ok_or_else(unknown)?;
        let from = request
            .from()
            .map_err(|error| Refused(error.status(), error.reason()))?;
        let same_host = leg.dialog.flow.remote.ip() == flow.remote.ip();
        let same_party = match (&leg.user, &user) {
            (Some(theirs), Some(ours)) => theirs == ours,
            // Where nobody is authenticated here: the same address of record, or a trusted peer, from the same host.
            (Some(_) | None, None) | (None, Some(_)) => {
                let trusted = matches!(caller, Caller::Pbx | Caller::Trusted);
                same_host && (trusted || (from.uri.user().is_some() && leg.party.uri.user() == from.uri.user()))
            }
        };
        if !same_party {
            return Err(Refused(403, "Not A Party Of That Dialog".to_owned()));
        }
        let call = match leg.owner {
            LegOwner::Call(call) => call,
            LegOwner::Transfer(_) => return Err(Refused(491, "Being Transferred".to_owned())),
            LegOwner::Nobody => return Err(unknown()),
        };
        let tag = self.legs().fresh_token();
        let dialog =
            Dialog::from_uas(request, &tag, *flow).map_err(|error| Refused(error.status(), error.to_string()))?;
        Ok((call, handle, dialog))
    }
}
