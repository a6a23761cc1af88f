//! What may be asked of a phone at any time.

use super::event::{CallState, Line, Notified, PhoneCall};
use super::{Phone, PhoneConfig};
use crate::sdp::{Description, Direction};
use crate::sip::{Message, Method};

impl Phone {
    /// Who it is and where it stands.
    pub fn config(&self) -> &PhoneConfig {
        &self.config
    }

    /// Who it is, to be changed before its first call.
    pub fn configure(&mut self) -> &mut PhoneConfig {
        &mut self.config
    }

    /// Whether the registrar has our contact.
    pub fn is_registered(&self) -> bool {
        self.registered
    }

    /// All calls it ever had, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = PhoneCall> + use<> {
        (0..self.calls.len()).map(PhoneCall)
    }

    /// The calls that are not over, oldest first.
    pub fn live(&self) -> Vec<PhoneCall> {
        self.calls().filter(|call| self.calls[call.0].is_live()).collect()
    }

    /// The call that came or was made last.
    pub fn latest(&self) -> Option<PhoneCall> {
        self.calls().last()
    }

    /// Where a call stands; `None` for a call of another phone.
    pub fn state(&self, call: PhoneCall) -> Option<CallState> {
        self.calls.get(call.0).map(|call| call.state)
    }

    /// Whether we hold the other side.
    pub fn is_holding(&self, call: PhoneCall) -> bool {
        self.calls.get(call.0).is_some_and(|call| call.session.holding)
    }

    /// Whether the other side holds us.
    pub fn is_held(&self, call: PhoneCall) -> bool {
        self.calls.get(call.0).is_some_and(|call| call.session.held)
    }

    /// The direction that we last wrote down.
    pub fn direction(&self, call: PhoneCall) -> Option<Direction> {
        self.calls.get(call.0)?.session.local()
    }

    /// The description that the other side last sent: where our audio goes.
    pub fn remote(&self, call: PhoneCall) -> Option<&Description> {
        self.calls.get(call.0)?.session.remote()
    }

    /// The media address of [`remote`](Phone::remote), as `host:port`.
    pub fn remote_media(&self, call: PhoneCall) -> Option<String> {
        let (host, port) = self.remote(call)?.media_address()?;
        // In a description IPv6 has no brackets (RFC 8866 §9).
        Some(match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        })
    }

    /// Whether audio flows both ways between us and `other`: each was told the other's media address, `sendrecv` on all
    /// four ends.
    pub fn talks_with(&self, call: PhoneCall, other: &Phone, their_call: PhoneCall) -> bool {
        let hears = |phone: &Phone, call: PhoneCall, peer: &Phone| {
            phone.state(call) == Some(CallState::Connected)
                && phone.remote_media(call) == Some(peer.config.media.to_string())
                && phone.direction(call) == Some(Direction::SendRecv)
                && phone.remote(call).map(Description::direction) == Some(Direction::SendRecv)
        };
        hears(self, call, other) && hears(other, their_call, self)
    }

    /// The From or To URI of the other side.
    pub fn remote_uri(&self, call: PhoneCall) -> Option<&str> {
        self.calls.get(call.0).map(|call| call.remote.as_str())
    }

    /// The Contact of the other side.
    pub fn remote_target(&self, call: PhoneCall) -> Option<&str> {
        self.calls.get(call.0).map(|call| call.remote_target.as_str())
    }

    /// The dialog's Call-ID.
    pub fn call_id(&self, call: PhoneCall) -> Option<&str> {
        self.calls.get(call.0).map(|call| call.call_id.as_str())
    }

    /// The final answer to our REFER.
    pub fn refer_status(&self, call: PhoneCall) -> Option<u16> {
        self.calls.get(call.0)?.refer_status
    }

    /// What the NOTIFYs of our REFERs in this call said, oldest first.
    pub fn notified(&self, call: PhoneCall) -> &[Notified] {
        self.calls.get(call.0).map_or(&[], |call| call.notified.as_slice())
    }

    /// Every message that was sent or received, oldest first.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The received requests of one kind, oldest first, repetitions included.
    pub fn requests(&self, method: &Method) -> Vec<Message> {
        self.received(|message| message.is_request() && message.method() == method)
    }

    /// The received answers to requests of one kind, oldest first, repetitions included.
    pub fn responses(&self, method: &Method) -> Vec<Message> {
        self.received(|message| !message.is_request() && message.method() == method)
    }

    fn received(&self, wanted: impl Fn(&Message) -> bool) -> Vec<Message> {
        self.lines
            .iter()
            .filter(|line| !line.sent)
            .filter_map(Line::message)
            .filter(wanted)
            .collect()
    }

    /// What the edge did that an RFC forbids, as far as this phone noticed. Empty is good.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Whether a request of ours waits for its final answer, or an answer of ours for its ACK.
    pub fn is_busy(&self) -> bool {
        self.is_waiting(|_| true) || self.calls().any(|call| self.is_served(call))
    }
}
