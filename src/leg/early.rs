//! Early dialogs of our INVITE: each fork behind the party is one of its own, until a 2xx picks.
//!
//! RFC 3261 §12.1.2, §13.2.2.4; RFC 3262 §4 (PRACK). A provisional answer with a new To tag makes an early dialog with its
//! own target, route set, sequence and early description; a 2xx takes over what the early dialog of its tag had.
//!
//! | comes | early dialog | what is done |
//! |---|---|---|
//! | 18x with a new tag | made | told to the owner; its description too while there is no second one (whom would the caller hear?) |
//! | 18x with `Require: 100rel`, the next RSeq | the same | PRACK in that early dialog |
//! | the same again, or one too far ahead | the same | nothing: PRACK repeats itself, a gap is filled by the party (§4) |
//! | 2xx without description | becomes the leg's | the description of its 18x is the answer (LESSONS 29) |
//! | 2xx of another tag, later | — | ACK and BYE |

use std::time::Instant;

use compact_str::CompactString;

use super::setup_client::establish;
use super::{Leg, LegHandle, Legs, Purpose, Setup, State, TransactionUser};
use crate::dialog::Dialog;
use crate::sdp::Description;
use crate::sip::{HeaderName, Message, Method};

/// More forks than a proxy in its senses makes of one call.
const MOST: usize = 16;

/// One early dialog.
#[derive(Debug)]
pub(crate) struct EarlyDialog {
    pub(crate) tag: CompactString,
    pub(crate) dialog: Dialog,
    /// What its provisional answers said last.
    pub(crate) description: Option<Description>,
    /// The last provisional answer that was acknowledged by PRACK.
    rseq: Option<u32>,
}

impl Leg {
    /// The early dialog that this tag names.
    pub(crate) fn early_dialog(&mut self, tag: &str) -> Option<&mut EarlyDialog> {
        match &mut self.state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => {
                client.early.iter_mut().find(|early| early.tag == tag)
            }
            State::Calling(Setup::Server(_))
            | State::Early(Setup::Server(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => None,
        }
    }

    /// Whether a reliable provisional answer of this fork has answered our offer (RFC 3262 §5).
    pub(crate) fn has_answered_early(&self, tag: &str) -> bool {
        match &self.state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => {
                let answered =
                    |early: &EarlyDialog| early.tag == tag && early.rseq.is_some() && early.description.is_some();
                client.invitation.offer.is_some() && client.early.iter().any(answered)
            }
            State::Calling(Setup::Server(_))
            | State::Early(Setup::Server(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => false,
        }
    }

    /// Whether the party we called sends provisional answers reliably.
    pub fn rings_reliably(&self) -> bool {
        match &self.state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => {
                client.early.iter().any(|early| early.rseq.is_some())
            }
            State::Calling(Setup::Server(_))
            | State::Early(Setup::Server(_))
            | State::Confirmed
            | State::Releasing(_)
            | State::Ended => false,
        }
    }
}

impl Legs {
    /// Notes what a provisional answer says of its early dialog, and acknowledges it if it wants that. The description
    /// that the owner may pass on; `None` for the answer itself: it is to be ignored.
    pub(crate) fn early_progress(
        &mut self,
        now: Instant,
        handle: LegHandle,
        response: &Message,
    ) -> Option<Option<Description>> {
        let description = super::request::description_of(handle, response);
        let Some(tag) = response.to_tag() else {
            return Some(None);
        };
        let leg = self.table.get_mut(handle.into())?;
        let (State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client))) = &mut leg.state else {
            return Some(None);
        };
        let known = client.early.iter().position(|early| early.tag == tag);
        let at = match known {
            Some(at) => at,
            None if client.early.len() >= MOST => return None,
            None => {
                let mut dialog = leg.dialog.clone();
                establish(&mut dialog, response, tag, &self.identity);
                client.early.push(EarlyDialog {
                    tag: tag.into(),
                    dialog,
                    description: None,
                    rseq: None,
                });
                client.early.len() - 1
            }
        };
        let alone = client.early.len() == 1;
        let early = client.early.get_mut(at)?;
        let mut prack = None;
        if response.has_token(HeaderName::Require, "100rel")
            && let Some(rseq) = response.number(HeaderName::RSeq)
        {
            if early.rseq.is_some_and(|last| rseq != last.wrapping_add(1)) {
                return None;
            }
            early.rseq = Some(rseq);
            let rack = format!("{rseq} {} INVITE", response.cseq());
            prack = Some((
                early.dialog.flow,
                early.dialog.next_request(&Method::Prack).header(HeaderName::RAck, rack),
            ));
        }
        if description.is_some() {
            early.description.clone_from(&description);
        }
        if let Some((flow, draft)) = prack {
            leg.owed += 1;
            let sent_by = self.sent_by(&flow);
            self.transactions.request(
                now,
                flow,
                &sent_by,
                &draft,
                TransactionUser::Leg(handle, Purpose::Prack),
            );
        }
        Some(self.usable(handle, description.filter(|_| alone)))
    }
}
