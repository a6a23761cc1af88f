//! What a call begins with: whom, as whom, and by which way.

use std::time::Duration;

use compact_str::CompactString;

use super::Credentials;
use crate::sdp::Description;
use crate::sip::{NameAddr, Replaces, Uri};
use crate::transport::Flow;
use crate::transport::locate::Wanted;

/// Whom to call and as whom.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The way to the party, or to the proxy or PBX in front of it.
    pub flow: Flow,
    /// Request-URI.
    pub request_uri: Uri,
    /// Preloaded Route values, topmost first.
    pub routes: Vec<CompactString>,
    /// From, without a tag.
    pub from: NameAddr,
    /// To, without a tag.
    pub to: NameAddr,
    /// The offer; `None`: the party offers in its 2xx.
    pub offer: Option<Description>,
    /// Further header lines (name, value) that are passed on.
    pub extra: Vec<(CompactString, CompactString)>,
    /// The dialog at the party that this one takes over.
    pub replaces: Option<Replaces>,
    /// For a challenge by the configured PBX.
    pub credentials: Option<Credentials>,
    /// How long the party may ring; `None`: the configured time.
    pub ring_timeout: Option<Duration>,
    /// The Call-ID of the new dialog; `None`: one of our own, so that the party learns nothing of the other side's.
    pub call_id: Option<CompactString>,
    /// Max-Forwards of the new request.
    pub max_forwards: u8,
    /// Where to go when `flow` fails, in this order (RFC 3263 §4.3).
    pub next: Vec<Flow>,
    /// The host that is to be looked up before anything can be sent; `flow` means nothing until then.
    pub wanted: Option<Wanted>,
    /// What is at the other end of `flow`.
    pub reached: Reached,
}

/// What is at the other end of a flow on which we call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// A phone that registered here, on the flow that it opened.
    Phone,
    /// The same, but the PBX named the flow by our token: it is told 430 when the flow has gone (RFC 5626 §5.3.2).
    Token,
    /// A configured place, or one that was looked up; its Contact says where it wants its requests.
    Place,
}
