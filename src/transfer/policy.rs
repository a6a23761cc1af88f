//! What the site decides about a transfer, asked once, before the target hears anything.
//!
//! The engine answers from its settings and its plugin; the transfer room only knows the question and the answer.

use std::time::Duration;

use crate::dialog::Dialog;
use crate::leg::Leg;
use crate::sip::{Message, Uri};
use crate::transaction::ServerHandle;
use crate::vocabulary::{Denied, OnFailure, ReferAnswer, TransferKind, TransferMode};

/// What the site allows and prefers, asked once for each transfer.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The mode of the transferee's peer profile, or the one that was asked for.
    pub mode: TransferMode,
    /// With what the transferor's REFER is accepted.
    pub answer: ReferAnswer,
    /// Where the transferee goes when the target cannot be had.
    pub on_failure: OnFailure,
}

/// The question: may this be done, and how?
#[derive(Debug)]
pub struct Asked<'a> {
    /// How the target was named.
    pub kind: TransferKind,
    /// Who asks and leaves; in a take-over, who is replaced.
    pub transferor: &'a Leg,
    /// Who is moved.
    pub transferee: &'a Leg,
    /// Where to: the party of the consult, or whom to dial. `None` when it names a dialog that has ended.
    pub target: Option<&'a Uri>,
}

/// The answer.
pub type Answer = Result<Policy, Denied>;

/// Bounds of every transfer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How often a call may be transferred, and how many targets one transfer may try.
    pub depth: u8,
    /// How long a transfer may take until it is decided.
    pub total: Duration,
    /// Whether every user may take over a call that still rings at another's phone (RFC 5359 §2.16).
    pub pick_up: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            depth: 5,
            total: Duration::from_secs(300),
            pick_up: false,
        }
    }
}

/// A REFER that waits for its answer.
#[derive(Clone, Debug)]
pub struct Referral {
    /// Answer here.
    pub server: ServerHandle,
    /// The request.
    pub request: Message,
    /// The dialog that it makes, when it came outside of the transferor's own (RFC 4538).
    pub outside: Option<Dialog>,
}

impl Referral {
    /// RFC 7647 §5 says 200; who does not know it expects 202. A party whose Contact is a GRUU knows it.
    pub(crate) fn status(&self, answer: ReferAnswer) -> u16 {
        let gruu = || {
            self.request
                .contact()
                .ok()
                .flatten()
                .is_some_and(|contact| contact.uri.param("gr").is_some())
        };
        match answer {
            ReferAnswer::Ok => 200,
            ReferAnswer::Accepted => 202,
            ReferAnswer::Auto if gruu() => 200,
            ReferAnswer::Auto => 202,
        }
    }
}
