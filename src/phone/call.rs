//! One call of a phone: its dialog identifiers and what it waits for (RFC 3261 §12).

use std::collections::VecDeque;
use std::time::Instant;

use super::event::{CallState, Notified, PhoneCall};
use super::request::Request;
use super::session::Session;
use crate::sip::{HeaderName, Message, Method, NameAddr, Replaces};

/// A call and its dialog.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) state: CallState,
    /// Whether we sent the INVITE, which makes us the owner of the Call-ID.
    pub(super) outgoing: bool,
    pub(super) call_id: String,
    pub(super) local_tag: String,
    pub(super) remote_tag: Option<String>,
    /// Our URI, as From (outgoing) or To (incoming) says it.
    pub(super) local: String,
    pub(super) remote: String,
    pub(super) remote_target: String,
    pub(super) routes: Vec<String>,
    pub(super) local_cseq: u32,
    pub(super) remote_cseq: Option<u32>,
    pub(super) session: Session,
    /// What the dialog's offer/answer state does not allow yet.
    pub(super) tasks: VecDeque<Task>,
    /// When to answer by ourselves.
    pub(super) answer_at: Option<Instant>,
    /// When to offer again after 491, and what.
    pub(super) retry: Option<(Instant, Offer)>,
    /// The final answer to our REFER.
    pub(super) refer_status: Option<u16>,
    pub(super) notified: Vec<Notified>,
    /// Of the REFER that we obey by this call: the call it came in.
    pub(super) obeys: Option<PhoneCall>,
    /// Of the REFER that we obey: its Event id (RFC 3515 §2.4.6).
    pub(super) subscription: Option<u32>,
    /// The call that we took the place of: gone once this one is answered.
    pub(super) replaces: Option<PhoneCall>,
    /// What was agreed about refreshing the session.
    pub(super) timer: Option<super::timer::Timer>,
    /// The least interval that the other side takes, in seconds.
    pub(super) min_se: u32,
}

/// What waits in a call until its INVITE transactions are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Offer(Offer),
    Bye,
}

/// A re-INVITE that we want to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Whether we hold the other side after it.
    pub(super) holding: bool,
    /// Without a description the other side offers (RFC 6337 §5).
    pub(super) described: bool,
}

impl Call {
    /// A call that we make.
    pub(super) fn outgoing(call_id: String, local_tag: String, local: String, remote: &str, session: Session) -> Call {
        Call {
            state: CallState::Calling,
            outgoing: true,
            call_id,
            local_tag,
            remote_tag: None,
            local,
            remote: remote.to_owned(),
            remote_target: remote.to_owned(),
            routes: Vec::new(),
            local_cseq: 0,
            remote_cseq: None,
            session,
            tasks: VecDeque::new(),
            answer_at: None,
            retry: None,
            refer_status: None,
            notified: Vec::new(),
            obeys: None,
            subscription: None,
            replaces: None,
            timer: None,
            min_se: 0,
        }
    }

    /// A call that an INVITE brought (RFC 3261 §12.1.1).
    pub(super) fn incoming(invite: &Message, local_tag: String, session: Session) -> Call {
        let uri = |header: Option<NameAddr>| header.map(|party| party.uri.as_str().to_owned()).unwrap_or_default();
        let remote = uri(invite.from().ok());
        let mut call = Call::outgoing(
            invite.call_id().to_owned(),
            local_tag,
            uri(invite.to().ok()),
            &remote,
            session,
        );
        call.state = CallState::Ringing;
        call.outgoing = false;
        call.remote_tag = invite.from_tag().map(str::to_owned);
        call.remote_cseq = Some(invite.cseq());
        call.routes = invite.values(HeaderName::RecordRoute).map(str::to_owned).collect();
        call.retarget(invite);
        call
    }

    /// Whether it is not over.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.state, CallState::Ended(_))
    }

    /// RFC 3261 §12.1.2: a response with a tag makes the dialog, or confirms the early one.
    pub(super) fn establish(&mut self, response: &Message) {
        if let Some(tag) = response.to_tag() {
            self.remote_tag = Some(tag.to_owned());
            self.routes = response.values(HeaderName::RecordRoute).map(str::to_owned).collect();
            self.routes.reverse();
        }
        self.retarget(response);
    }

    /// RFC 3261 §12.2: target refresh by the Contact of INVITE and of its 2xx.
    pub(super) fn retarget(&mut self, message: &Message) {
        if let Ok(Some(contact)) = message.contact() {
            self.remote_target = contact.uri.as_str().to_owned();
        }
    }

    /// Whether `message`, a request to us, belongs to this dialog: Call-ID and both tags.
    pub(super) fn owns(&self, message: &Message) -> bool {
        message.call_id() == self.call_id
            && message.to_tag() == Some(self.local_tag.as_str())
            && (self.remote_tag.is_none() || message.from_tag() == self.remote_tag.as_deref())
    }

    /// Whether `replaces`, which somebody sent to us, names this dialog (RFC 3891 §3).
    pub(super) fn is_named_by(&self, replaces: &Replaces) -> bool {
        replaces.call_id == self.call_id
            && replaces.to_tag == self.local_tag
            && self.remote_tag.as_deref() == Some(replaces.from_tag.as_str())
    }

    /// The next request in this dialog (RFC 3261 §12.2.1.1). ACK and CANCEL do not come from here: they keep a number.
    pub(super) fn request(&mut self, method: Method) -> Request {
        self.local_cseq += 1;
        self.request_numbered(method, self.local_cseq)
    }

    /// A request with a given sequence number.
    pub(super) fn request_numbered(&self, method: Method, cseq: u32) -> Request {
        let to = match &self.remote_tag {
            Some(tag) => format!("<{}>;tag={tag}", self.remote),
            None => format!("<{}>", self.remote),
        };
        let from = format!("<{}>;tag={}", self.local, self.local_tag);
        let mut request = Request::new(method, &self.remote_target, &from, &to, &self.call_id, cseq);
        for route in &self.routes {
            request = request.header(HeaderName::Route, route);
        }
        request
    }
}
