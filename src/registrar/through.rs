//! REGISTER in `through` mode: the PBX keeps the bindings, the edge remembers the flow of what passed (RFC 3327 §5.2).
//!
//! The 2xx decides, not the request: RFC 3261 §10.3 step 8 has it list every contact that is bound now. A contact of
//! the request that is listed is bound to the flow it came on; one that is not, and one that we held and that is listed
//! no more, is gone.

use std::time::{Duration, Instant};

use compact_str::CompactString;

use super::binding::{Binding, Kept, equal, preference};
use super::register::{interval, without_expires};
use super::{Change, Registrar};
use crate::sip::{HeaderName, Message, NameAddr, Uri};
use crate::transport::Flow;

/// Of one user through one PBX; what a hostile or broken PBX lists beyond it is not remembered.
const MOST_CONTACTS: usize = 64;

impl Registrar {
    /// Learns from the `response` to a REGISTER that was forwarded to the PBX. Only a 2xx teaches anything: a refused
    /// registration leaves the bindings of before (RFC 3261 §10.3: processed completely or not at all).
    ///
    /// `flow` is the one on which `request` came in.
    pub fn learn(&mut self, now: Instant, flow: Flow, request: &Message, response: &Message) -> Vec<Change> {
        if !response.status().is_some_and(|status| (200..300).contains(&status)) {
            return Vec::new();
        }
        let Some((user, aor)) = aor_of(request) else {
            return Vec::new();
        };
        let listed = contacts(response);
        let asked = contacts(request);
        let seconds_of = |contact: &NameAddr, message: &Message| {
            let own = contact
                .param("expires")
                .map(|value| interval(value.unwrap_or_default()));
            own.or_else(|| message.text(HeaderName::Expires).map(interval))
        };

        let held = self.bindings.of(&user).iter().map(|binding| &binding.contact.uri);
        let known: Vec<Uri> = held.chain(asked.iter().map(|contact| &contact.uri)).cloned().collect();
        let mut bindings: Vec<Binding> = Vec::new();
        for old in self.bindings.of(&user).iter().filter(|binding| binding.expires > now) {
            let asked_again = asked.iter().any(|contact| equal(&contact.uri, &old.contact.uri));
            if !asked_again && named_by(&listed, &known, &old.contact.uri).next().is_some() {
                bindings.push(old.clone());
            }
        }
        for contact in asked {
            let granted = named_by(&listed, &known, &contact.uri)
                .filter_map(|bound| seconds_of(bound, response))
                .max();
            let seconds = granted.unwrap_or(0);
            if seconds == 0 || seconds_of(&contact, request) == Some(0) {
                continue;
            }
            let same_place = |old: &&Binding| !old.waiting && old.flow == flow && old.contact.uri == contact.uri;
            let id = match self.bindings.of(&user).iter().find(same_place) {
                Some(old) => old.id,
                None => self.bindings.next_id(),
            };
            bindings.push(Binding {
                aor: aor.clone(),
                flow,
                expires: now + Duration::from_secs(seconds.into()),
                call_id: request.call_id().into(),
                cseq: request.cseq(),
                kept: Kept::Through,
                instance: contact.param_unquoted("+sip.instance"),
                reg_id: contact.param("reg-id").flatten().and_then(|id| id.parse().ok()),
                q: preference(&contact),
                path: request.values(HeaderName::Path).map(CompactString::from).collect(),
                waiting: false,
                id,
                contact: without_expires(contact),
            });
        }
        bindings.truncate(MOST_CONTACTS);
        self.bindings.commit(&user, bindings)
    }
}

/// The user of To and its address of record. The host is the PBX's business.
fn aor_of(request: &Message) -> Option<(CompactString, CompactString)> {
    let to = request.to().ok()?;
    let user = CompactString::from(to.uri.user_unescaped()?);
    let aor = Uri::sip(Some(&user), to.uri.host_port());
    (!user.is_empty()).then(|| (user, CompactString::from(aor.as_str())))
}

/// The contacts that can be read. A `*` cannot, and stands for none: what it removes is missing from the response.
fn contacts(message: &Message) -> Vec<NameAddr> {
    let values = message.values(HeaderName::Contact).take(MOST_CONTACTS);
    values.filter_map(|value| NameAddr::parse(value).ok()).collect()
}

/// The contacts of the response that mean `uri`: the equal one; else, since a PBX with NAT rules may write the address
/// that it saw into the contact, those with the same user part that equal nothing else that is known.
fn named_by<'a>(listed: &'a [NameAddr], known: &[Uri], uri: &Uri) -> impl Iterator<Item = &'a NameAddr> {
    let exact = listed.iter().any(|contact| equal(&contact.uri, uri));
    let rewritten = |other: &Uri| {
        other.user().is_some() && other.user() == uri.user() && !known.iter().any(|one| equal(one, other))
    };
    listed.iter().filter(move |contact| {
        if exact {
            equal(&contact.uri, uri)
        } else {
            rewritten(&contact.uri)
        }
    })
}
