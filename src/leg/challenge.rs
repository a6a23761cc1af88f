//! Challenges to our requests: answered once each, from what was configured for that party and realm, and for nobody else.
//!
//! RFC 3261 §22.2–22.3, RFC 7616, RFC 8760 §2.3. Only a leg to a configured trunk or PBX has credentials (LESSONS 19, 37);
//! with a realm among them, a challenge of any other realm stays unanswered: it may come from somebody behind the trunk.
//!
//! | request | 401, 407 | second 401, 407, no credentials, another realm |
//! |---|---|---|
//! | INVITE that makes the dialog | sent again with the answer, under the next number | refused |
//! | re-INVITE, UPDATE, BYE, REFER, NOTIFY, what is passed on | the same | the failure that it is |
//! | ACK, CANCEL, PRACK | never challenged, or never worth it | — |

use std::time::Instant;

use compact_str::CompactString;

use super::offer::Exchange;
use super::{Credentials, LegHandle, Legs, Purpose, TransactionUser};
use crate::sip::{Challenge, Draft, HeaderName, Message, Method};

/// A request that may be challenged, as it went out.
#[derive(Debug)]
pub(crate) struct Outstanding {
    pub(crate) purpose: Purpose,
    pub(crate) draft: Draft,
    pub(crate) cseq: u32,
}

/// The header and value that answer the challenge of a response; `None`: not with these credentials.
pub(crate) fn answer(
    response: &Message,
    credentials: &Credentials,
    method: &Method,
    uri: &str,
    cnonce: &str,
) -> Option<(HeaderName, CompactString)> {
    let (challenge_in, answer_in) = match response.status()? {
        401 => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
        407 => (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization),
        _ => return None,
    };
    let ours = |challenge: &Challenge| credentials.realm.as_ref().is_none_or(|realm| *realm == challenge.realm);
    // RFC 8760 §2.3: the first challenge that we can answer; the server puts its favourite first.
    let challenge = response
        .headers(challenge_in)
        .filter_map(|value| std::str::from_utf8(value).ok())
        .filter_map(|value| Challenge::parse(value).ok())
        .find(ours)?;
    Some((
        answer_in,
        crate::sip::answer(
            &challenge,
            &credentials.user,
            &credentials.password,
            method,
            uri,
            cnonce,
        ),
    ))
}

impl Legs {
    /// What challenges of this leg's party are answered with.
    pub fn set_credentials(&mut self, handle: LegHandle, credentials: Option<Credentials>) {
        if let Some(leg) = self.get_mut(handle) {
            leg.credentials = credentials.map(Box::new);
        }
    }

    /// Remembers a request that may be challenged, or tried at another place. Parties of neither kind cost nothing.
    pub(crate) fn remember(&mut self, handle: LegHandle, purpose: Purpose, draft: &Draft) {
        if let Some(leg) = self.get_mut(handle)
            && (leg.credentials.is_some() || leg.has_next_place())
        {
            let cseq = leg.dialog.local_cseq;
            leg.outstanding.push(Outstanding {
                purpose,
                draft: draft.clone(),
                cseq,
            });
        }
    }

    /// A final answer to an in-dialog request. `true`: it was a challenge, and the request went out again.
    pub(crate) fn answered_challenge(
        &mut self,
        now: Instant,
        handle: LegHandle,
        purpose: Purpose,
        response: &Message,
    ) -> bool {
        let Some(leg) = self.table.get_mut(handle.into()) else {
            return false;
        };
        let Some(at) = leg
            .outstanding
            .iter()
            .position(|sent| sent.purpose == purpose && sent.cseq == response.cseq())
        else {
            return false;
        };
        // Taken out: whatever comes next to it is final.
        let Outstanding { draft, .. } = leg.outstanding.swap_remove(at);
        let Some(credentials) = &leg.credentials else {
            return false;
        };
        let (Some(method), Some(uri)) = (draft.method().cloned(), draft.request_uri().map(str::to_owned)) else {
            return false;
        };
        let cnonce = self.identity.token(u64::from(leg.dialog.local_cseq) ^ leg.origin.0);
        let Some((name, value)) = answer(response, credentials, &method, &uri, &cnonce) else {
            return false;
        };
        // RFC 3261 §22.2: the same request under the next number.
        leg.dialog.local_cseq = leg.dialog.local_cseq.saturating_add(1);
        let draft = draft.renumbered(leg.dialog.local_cseq).header(name, value);
        let flow = leg.dialog.flow;
        let sent_by = self.sent_by(&flow);
        let client = self
            .transactions
            .request(now, flow, &sent_by, &draft, TransactionUser::Leg(handle, purpose));
        if let Some(leg) = self.get_mut(handle)
            && purpose == Purpose::Offer
            && let Exchange::Sent { client: sent, .. } = &mut leg.exchange
        {
            *sent = Some(client);
        }
        true
    }
}
