//! REGISTER in `local` mode: RFC 3261 §10.3, step by step, with Path (RFC 3327 §5.3) and Outbound (RFC 5626 §6).

use std::time::{Duration, Instant};

use compact_str::CompactString;

use super::binding::{Binding, Kept, Outbound, preference};
use super::{Change, Registrar, date};
use crate::sip::{Draft, HeaderName, Message, NameAddr, Scheme, Uri, unsupported};
use crate::transport::Flow;

/// RFC 3261 §10.3 step 7 and §20.19: the interval where none was asked for, or where it cannot be read.
const DEFAULT_EXPIRES: u32 = 3_600;

/// Whose bindings a REGISTER is about.
pub(super) struct Aor {
    /// The user part, unescaped: the key of the table.
    pub(super) user: CompactString,
    /// The canonical address of record.
    pub(super) text: CompactString,
}

/// What a REGISTER asks for.
enum Wish {
    /// No Contact: list what there is.
    Fetch,
    /// `Contact: *` with `Expires: 0`.
    RemoveAll,
    /// Each contact with its interval in seconds, already within bounds; 0 removes.
    Contacts(Vec<(NameAddr, u32)>),
}

/// RFC 5626 §4.4: how often a phone on a stream must show that it lives, in seconds. Over UDP nothing is said: its 24 to
/// 29 s keep a NAT's binding open, and more would not.
const FLOW_TIMER: &str = "120";

impl Registrar {
    /// Answers a REGISTER. Its bindings are reached through `flow`, the one it came on.
    ///
    /// Nothing changes unless the response is 200. Refusals: 400, 401, 403, 404, 416, 420, 423, and 500 for a CSeq that
    /// is not higher than the binding's (RFC 3261 §10.3 step 7).
    pub fn register(&mut self, now: Instant, flow: Flow, request: &Message) -> (Draft, Vec<Change>) {
        match self.process(now, flow, request) {
            Ok((aor, new)) => {
                let changes = self.bindings.commit(&aor.user, new);
                (self.accepted(now, &flow, &aor.user, request), changes)
            }
            Err(refusal) => (*refusal, Vec::new()),
        }
    }

    /// Steps 1 to 7: whose bindings, and what they become.
    fn process(&mut self, now: Instant, flow: Flow, request: &Message) -> Result<(Aor, Vec<Binding>), Box<Draft>> {
        self.check_domain(request)?;
        let unknown = unsupported(request);
        if !unknown.is_empty() {
            return Err(Box::new(
                self.answer(request, 420)
                    .header(HeaderName::Unsupported, unknown.join(", ")),
            ));
        }
        let user = self.authenticate(now, flow, request, false)?;
        let aor = self.aor(request)?;
        if user.is_some_and(|user| user != aor.user) {
            return Err(self.refuse(request, 403, "Not Your Address-Of-Record"));
        }
        let bindings = match self.wish(request)? {
            Wish::Fetch => self.current(now, &aor.user),
            Wish::RemoveAll => self.without_all(now, &aor, request)?,
            Wish::Contacts(contacts) => self.updated(now, flow, &aor, request, contacts)?,
        };
        Ok((aor, bindings))
    }

    /// Step 1. A registrar that also forwarded to foreign domains would be an open relay: it answers 404.
    fn check_domain(&self, request: &Message) -> Result<(), Box<Draft>> {
        let Ok(uri) = Uri::parse(request.request_uri().unwrap_or_default()) else {
            return Err(self.refuse(request, 400, "Bad Request-URI"));
        };
        match uri.scheme() {
            Scheme::Sip | Scheme::Sips if self.is_our_domain(uri.host()) => Ok(()),
            Scheme::Sip | Scheme::Sips => Err(self.refuse(request, 404, "Not A Domain Of This Registrar")),
            Scheme::Tel | Scheme::Other => Err(Box::new(self.answer(request, 416))),
        }
    }

    /// Step 5: the address of record in canonical form.
    fn aor(&self, request: &Message) -> Result<Aor, Box<Draft>> {
        let to = request
            .to()
            .map_err(|error| self.refuse(request, error.status(), &error.reason()))?;
        match to.uri.scheme() {
            Scheme::Sip | Scheme::Sips => {}
            Scheme::Tel | Scheme::Other => return Err(self.refuse(request, 400, "To Is No SIP URI")),
        }
        if !self.is_our_domain(to.uri.host()) {
            return Err(self.refuse(request, 404, "To Is Not In This Domain"));
        }
        let user = to.uri.user_unescaped().filter(|user| !user.is_empty());
        let user = user
            .map(CompactString::from)
            .ok_or_else(|| self.refuse(request, 400, "To Names No User"))?;
        let text = CompactString::from(Uri::sip(Some(&user), &self.config.domain).as_str());
        Ok(Aor { user, text })
    }

    /// Step 6, and the intervals of step 7.
    fn wish(&self, request: &Message) -> Result<Wish, Box<Draft>> {
        // A phone that moves removes as many contacts as it adds; more is a flood, and is not even compared.
        let most = self.config.max_contacts.saturating_mul(2);
        let values: Vec<&str> = request
            .values(HeaderName::Contact)
            .take(most.saturating_add(1))
            .collect();
        if values.len() > most {
            return Err(self.refuse(request, 403, "Too Many Contacts"));
        }
        let common = request.text(HeaderName::Expires).map(interval);
        match (values.as_slice(), request.header(HeaderName::Contact)) {
            ([], None) => return Ok(Wish::Fetch),
            // A Contact that is not UTF-8 must not turn a registration into a fetch.
            ([], Some(_)) => return Err(self.refuse(request, 400, "Bad Contact header")),
            (["*"], _) if common == Some(0) => return Ok(Wish::RemoveAll),
            (list, _) if list.contains(&"*") => {
                return Err(self.refuse(request, 400, "Contact * Stands Alone And With Expires 0"));
            }
            _ => {}
        }
        let (min, max) = self.config.expires;
        let mut contacts: Vec<(NameAddr, u32)> = Vec::with_capacity(values.len());
        for value in values {
            let contact =
                NameAddr::parse(value).map_err(|error| self.refuse(request, error.status(), "Bad Contact header"))?;
            match contact.uri.scheme() {
                Scheme::Sip | Scheme::Sips => {}
                // RFC 3261 §10.2.1 allows others; a contact that is reached through its flow must be SIP.
                Scheme::Tel | Scheme::Other => return Err(self.refuse(request, 400, "Contact Is No SIP URI")),
            }
            let asked = contact
                .param("expires")
                .map(|value| interval(value.unwrap_or_default()));
            let asked = asked.or(common).unwrap_or(DEFAULT_EXPIRES);
            // Step 7: 423 only for an interval above zero, below one hour, and below our minimum.
            if asked > 0 && asked < 3_600 && asked < min {
                let refusal = self.answer(request, 423).header(HeaderName::MinExpires, min);
                return Err(Box::new(refusal));
            }
            if contacts
                .iter()
                .any(|(other, _)| super::binding::equal(&other.uri, &contact.uri))
            {
                return Err(self.refuse(request, 400, "The Same Contact Twice"));
            }
            contacts.push((contact, asked.min(max)));
        }
        Ok(Wish::Contacts(contacts))
    }

    /// The bindings of a user that are alive.
    fn current(&self, now: Instant, user: &str) -> Vec<Binding> {
        self.bindings
            .of(user)
            .iter()
            .filter(|binding| binding.expires > now)
            .cloned()
            .collect()
    }

    /// Step 6 for `*`: all or nothing.
    fn without_all(&self, now: Instant, aor: &Aor, request: &Message) -> Result<Vec<Binding>, Box<Draft>> {
        self.current(now, &aor.user)
            .iter()
            .try_for_each(|binding| self.in_order(binding, request))?;
        Ok(Vec::new())
    }

    /// Step 7: the bindings with every contact of the request added, refreshed or removed.
    fn updated(
        &mut self,
        now: Instant,
        flow: Flow,
        aor: &Aor,
        request: &Message,
        contacts: Vec<(NameAddr, u32)>,
    ) -> Result<Vec<Binding>, Box<Draft>> {
        let mut bindings = self.current(now, &aor.user);
        let speaks_outbound = request.has_token(HeaderName::Supported, "outbound");
        for (contact, seconds) in contacts {
            let outbound = Outbound::of(&contact).filter(|_| speaks_outbound);
            let found = bindings
                .iter()
                .position(|binding| binding.is_named_by(&contact, outbound.as_ref()));
            let old = found.map(|at| bindings.remove(at));
            if let Some(old) = &old {
                self.in_order(old, request)?;
            }
            if seconds == 0 {
                continue;
            }
            let same_place = |old: &&Binding| !old.waiting && old.flow == flow && old.contact.uri == contact.uri;
            let id = match old.as_ref().filter(same_place) {
                Some(old) => old.id,
                None => self.bindings.next_id(),
            };
            let binding = Binding {
                aor: aor.text.clone(),
                flow,
                expires: now + Duration::from_secs(seconds.into()),
                call_id: request.call_id().into(),
                cseq: request.cseq(),
                kept: Kept::Local,
                instance: contact.param_unquoted("+sip.instance"),
                reg_id: outbound.map(|outbound| outbound.reg_id),
                q: preference(&contact),
                path: request.values(HeaderName::Path).map(CompactString::from).collect(),
                waiting: false,
                id,
                contact: without_expires(contact),
            };
            // A refreshed binding keeps its place in the response.
            bindings.insert(found.unwrap_or(bindings.len()), binding);
        }
        if bindings.len() > self.config.max_contacts {
            // What waits for a phone that has come back under another contact must not lock it out.
            bindings.retain(|binding| !binding.waiting);
        }
        if bindings.len() > self.config.max_contacts {
            return Err(self.refuse(request, 403, "Too Many Contacts"));
        }
        Ok(bindings)
    }

    /// The same Call-ID needs a higher CSeq; a new Call-ID is a phone that restarted. A retransmission never comes here:
    /// the transaction layer answers it.
    fn in_order(&self, binding: &Binding, request: &Message) -> Result<(), Box<Draft>> {
        if binding.call_id == request.call_id() && request.cseq() <= binding.cseq {
            return Err(self.refuse(request, 500, "CSeq Out Of Order"));
        }
        Ok(())
    }

    /// Step 8.
    fn accepted(&self, now: Instant, flow: &Flow, user: &str, request: &Message) -> Draft {
        let mut draft = self.answer(request, 200).copy(request, HeaderName::Path);
        for binding in self.bindings.of(user) {
            let seconds = binding.expires_in(now).to_string();
            draft = draft.header(
                HeaderName::Contact,
                binding.contact.clone().with_param("expires", Some(&seconds)),
            );
        }
        // RFC 5626 §6: says that the registrar has understood reg-id.
        let outbound =
            self.bindings.of(user).iter().any(|binding| {
                binding.reg_id.is_some() && binding.flow == *flow && binding.call_id == request.call_id()
            });
        if outbound {
            draft = draft.header(HeaderName::Require, "outbound");
            if flow.transport.is_reliable() {
                draft = draft.header(HeaderName::FlowTimer, FLOW_TIMER);
            }
        }
        match self.unix_time(now) {
            Some(seconds) => draft.header(HeaderName::Date, date::sip_date(seconds)),
            None => draft,
        }
    }
}

/// Delta-seconds; what cannot be read counts as one hour (RFC 3261 §10.2.1.1, §20.19).
pub(super) fn interval(text: &str) -> u32 {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    if digits {
        text.parse().unwrap_or(u32::MAX)
    } else {
        DEFAULT_EXPIRES
    }
}

/// The contact as it is kept: the interval is no part of it.
pub(super) fn without_expires(contact: NameAddr) -> NameAddr {
    let bare = contact.clone().without_params();
    let params = contact
        .params()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("expires"));
    params.fold(bare, |bare, (name, value)| bare.with_param(name, value))
}
