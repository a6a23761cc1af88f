//! What passes between a leg and its neighbours: what the transaction layer gives back with a response, and what rises to
//! the leg's owner.

use super::{Carrier, Invitation, LegHandle, Legs, ReferProgress};
use crate::sdp::Description;
use crate::sip::Message;
use crate::transaction::ServerHandle;
use crate::vocabulary::{Cause, Event};

/// Whom the transaction layer tells of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionUser {
    /// A leg's own request.
    Leg(LegHandle, Purpose),
    /// A request that the edge forwards without owning its dialog: the response goes back through this transaction.
    Forwarded(ServerHandle),
    /// Nobody: the request only has to be delivered.
    Nobody,
}

/// What a leg's request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The INVITE that makes the dialog.
    Setup,
    /// A re-INVITE, or an UPDATE.
    Offer,
    /// BYE.
    Bye,
    /// PRACK.
    Prack,
    /// CANCEL.
    Cancel,
    /// NOTIFY of a REFER that the party sent.
    Notify,
    /// REFER.
    Refer,
    /// A request passed on for the other party; its answer goes back through this transaction.
    PassOn(ServerHandle),
}

/// How a party was called that says where else to try.
#[derive(Clone, Debug)]
pub struct Called {
    /// Whom, and as whom.
    pub invitation: Box<Invitation>,
    /// It said that it rings before it refused.
    pub rang: bool,
}

/// What a party did, told to the leg's owner.
#[derive(Clone, Debug)]
pub enum LegEvent {
    /// A provisional answer to our INVITE.
    Ringing {
        /// 180, 183, …
        status: u16,
        /// Early media.
        description: Option<Description>,
    },
    /// A 2xx to our INVITE; the dialog is confirmed and, if the offer was ours, the ACK has been sent.
    Answered {
        /// The answer, or the offer if our INVITE had none.
        description: Option<Description>,
    },
    /// Our INVITE failed; the leg has ended.
    Refused {
        /// The final status; 408 and 503 also stand for silence and transport errors.
        status: u16,
        /// The response, if one came.
        response: Option<Message>,
        /// With a 3xx: what it took to call the party, to be used elsewhere.
        called: Option<Called>,
    },
    /// The ACK to our 2xx.
    Acked {
        /// The answer, if the offer was in our 2xx.
        description: Option<Description>,
    },
    /// A re-INVITE or UPDATE; the owner answers with [`Legs::answer_offer`](super::Legs::answer_offer) or [`Legs::refuse_offer`](super::Legs::refuse_offer).
    Offered {
        /// The offer; `None`: the party wants ours.
        description: Option<Description>,
        /// What it came in.
        carrier: Carrier,
    },
    /// Our re-INVITE was answered.
    OfferAnswered {
        /// The answer, or the offer if we sent none.
        description: Option<Description>,
    },
    /// Our re-INVITE failed; the session is as before (RFC 6141 §3).
    OfferRefused {
        /// The final status.
        status: u16,
    },
    /// The session was refreshed by one of its two ends, or could not be; no offer is under way any more.
    Refreshed {
        /// The party described itself anew.
        changed: bool,
    },
    /// A REFER; the owner answers with [`Legs::accept_refer`](super::Legs::accept_refer) or [`Legs::refuse`](super::Legs::refuse).
    Referred {
        /// Answer here.
        server: ServerHandle,
        /// The request.
        request: Message,
    },
    /// Progress of a REFER that we sent.
    Progress(ReferProgress),
    /// The final NOTIFY of the party's REFER was answered, refused or lost. Each is an end of the subscription and of nothing else.
    ReportSettled,
    /// INFO, MESSAGE or the like, to be passed on.
    Asked {
        /// Answer here.
        server: ServerHandle,
        /// The request.
        request: Message,
    },
    /// The party has left: BYE, CANCEL, or it does not answer any more.
    Released {
        /// How.
        cause: Cause,
    },
}

impl Legs {
    /// That the dialog stands, with its tags as RFC 3261 §12 names them; `None`: there is no such leg.
    pub(crate) fn confirmed(&self, handle: LegHandle) -> Option<Event> {
        let leg = self.get(handle)?;
        let (ours, theirs) = (
            leg.dialog.id.local_tag.to_string(),
            leg.dialog.id.remote_tag.to_string(),
        );
        let (from_tag, to_tag) = if leg.we_called() {
            (ours, theirs)
        } else {
            (theirs, ours)
        };
        Some(Event::LegConfirmed {
            leg: handle,
            from_tag,
            to_tag,
        })
    }

    pub(super) fn tell_confirmed(&mut self, handle: LegHandle) {
        self.events.extend(self.confirmed(handle));
    }
}
