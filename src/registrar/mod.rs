//! The registrar: who is where, and who may say so.
//!
//! **Owns** the bindings of contacts to flows, whoever keeps them: this edge ([`Registrar::register`], mode `local`) or
//! the PBX behind it ([`Registrar::learn`], mode `through`); and the digest users ([`Registrar::authenticate`]), for
//! REGISTER and for every other request that a phone sends.
//!
//! **Refuses** to route: [`Registrar::lookup`] says where a user is, and the engine decides what goes there. It never
//! trusts a contact's host as a destination: a binding is reached on the flow that it registered from. It is never asked
//! about ACK and CANCEL, which cannot be challenged (RFC 3261 §22.1). It reads no clock: time is an argument, and
//! wall-clock time for Date is told once ([`Registrar::with_wall_clock`]).
//!
//! RFC 3261 §10.3 (REGISTER), §20.10 (q), §22 (digest) · RFC 3327 §5.3 (Path) · RFC 5626 §6 (reg-id) · RFC 7616 and
//! RFC 8760 (SHA-256 beside MD5).
//!
//! | a REGISTER | becomes |
//! |---|---|
//! | for a domain or with a To that is not ours | 404; `tel:` in To 400 |
//! | with Require that nobody here handles | 420 with Unsupported |
//! | without credentials, with wrong ones, or with an old nonce | 401 with two challenges; `stale=true` only for the old nonce |
//! | of a user for another's address of record | 403 |
//! | with `*` and anything but `Expires: 0`, a contact that is no SIP URI | 400 |
//! | with an interval above 0 and below the minimum | 423 with Min-Expires |
//! | whose CSeq is not higher than the binding's, same Call-ID | 500, nothing changed |
//! | that would leave more contacts than allowed | 403, nothing changed |
//! | without Contact | 200 with all bindings |
//! | any other | 200 with all bindings, all its changes at once |
//!
//! ```
//! use std::time::{Duration, Instant};
//! use warmline::registrar::{Registrar, RegistrarConfig};
//! use warmline::sip::{Algorithm, Message};
//! use warmline::transport::{Flow, Transport};
//!
//! let start = Instant::now(); // the host's clock; the registrar has none
//! let config = RegistrarConfig {
//!     domain: "example.com".into(),
//!     users: Vec::new(),
//!     open: true,
//!     expires: (60, 3_600),
//!     max_contacts: 5,
//!     digest: vec![Algorithm::Sha256, Algorithm::Md5],
//!     key: [7; 16],
//! };
//! let mut registrar = Registrar::new(config, start);
//! let flow = Flow {
//!     transport: Transport::Udp,
//!     local: "192.0.2.1:5060".parse().unwrap(),
//!     remote: "198.51.100.7:5062".parse().unwrap(),
//!     connection: 0,
//! };
//! let request = "REGISTER sip:example.com SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 10.0.0.7:5062;branch=z9hG4bK1\r\n\
//!     From: <sip:alice@example.com>;tag=1\r\n\
//!     To: <sip:alice@example.com>\r\n\
//!     Call-ID: r1\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\n\
//!     Contact: <sip:alice@10.0.0.7:5062>\r\nExpires: 600\r\n\
//!     Content-Length: 0\r\n\r\n";
//! let request = Message::parse(request.into()).unwrap();
//! let (response, changes) = registrar.register(start, flow, &request);
//! assert_eq!(response.status(), Some(200));
//! assert_eq!(changes.len(), 1);
//!
//! // She is reached where she came from, not at the address behind her NAT.
//! assert_eq!(registrar.lookup(start, "alice")[0].flow, flow);
//!
//! // Ten minutes later nobody has refreshed it.
//! let later = start + Duration::from_secs(600);
//! assert_eq!(registrar.poll_timeout(), Some(later));
//! assert_eq!(registrar.handle_timeout(later).len(), 1);
//! assert!(registrar.lookup(later, "alice").is_empty());
//! ```

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use compact_str::CompactString;

use crate::sip::{Algorithm, Draft, Message, NameAddr};
use crate::transport::Flow;

mod authenticate;
mod binding;
mod bindings;
mod date;
mod nonce_count;
mod register;
mod stored;
#[cfg(test)]
mod tests;
mod through;
mod token;

pub use binding::{Binding, Kept};
use bindings::Bindings;
use nonce_count::NonceCounts;
pub use stored::{StoredBinding, StoredUser};
pub use token::TokenKeys;

/// What the registrar is told.
#[derive(Clone)]
pub struct RegistrarConfig {
    /// Host part of the addresses of record that are kept here, and realm of the digest.
    pub domain: String,
    /// Name and password of each user; the name is the user part of its address of record.
    pub users: Vec<(String, String)>,
    /// Accept any user without a password. For loopback only.
    pub open: bool,
    /// Shortest and longest life of a binding, in seconds.
    pub expires: (u32, u32),
    /// Contacts that one address of record may have.
    pub max_contacts: usize,
    /// The algorithms of the challenges, the favourite first; credentials of another one are refused.
    pub digest: Vec<Algorithm>,
    /// Seals the nonces. Belongs to the cluster.
    pub key: [u8; 16],
}

impl std::fmt::Debug for RegistrarConfig {
    /// Passwords and the key stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shape = f.debug_struct("RegistrarConfig");
        shape
            .field("domain", &self.domain)
            .field("users", &self.users.len())
            .field("open", &self.open);
        shape.finish_non_exhaustive()
    }
}

/// What came of a REGISTER, of time, or of a flow's end. A refresh of the same contact on the same flow is no change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A contact is reachable, or on another flow than before.
    Added {
        /// Its address of record.
        aor: CompactString,
        /// The contact.
        contact: NameAddr,
        /// Where it is reached now.
        flow: Flow,
        /// Where it was, if it was somewhere else.
        before: Option<Flow>,
    },
    /// A contact is not reachable any more.
    Removed {
        /// Its address of record.
        aor: CompactString,
        /// The contact.
        contact: NameAddr,
    },
}

/// A password, which stays out of logs.
struct Password(CompactString);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

fn passwords(users: &[(String, String)]) -> BTreeMap<CompactString, Password> {
    let word = |(name, password): &(String, String)| (name.into(), Password(password.into()));
    users.iter().map(word).collect()
}

/// All bindings and all users of one domain.
#[derive(Debug)]
pub struct Registrar {
    config: RegistrarConfig,
    passwords: BTreeMap<CompactString, Password>,
    /// Who may sign tokens that stand for a password.
    tokens: Option<TokenKeys>,
    /// Where the time in nonces starts.
    epoch: Instant,
    /// Unix time at `epoch`, in seconds.
    unix_epoch: Option<u64>,
    bindings: Bindings,
    nonces: NonceCounts,
    /// The time in the last nonce that was given out.
    last_nonce: u64,
    /// The last request's credentials were wrong, and it came by a proven way back.
    wrong: bool,
}

impl Registrar {
    /// A registrar without bindings. `epoch` is any moment not after the first message; nonces count from it.
    pub fn new(config: RegistrarConfig, epoch: Instant) -> Registrar {
        let passwords = passwords(&config.users);
        Registrar {
            config,
            passwords,
            tokens: None,
            epoch,
            unix_epoch: None,
            bindings: Bindings::default(),
            nonces: NonceCounts::default(),
            last_nonce: 0,
            wrong: false,
        }
    }

    /// Whether wrong credentials were shown since this was last asked, by somebody who has proven that what is sent to its
    /// address reaches it: over a connection, or with a nonce that was made for this address.
    pub fn take_wrong(&mut self) -> bool {
        std::mem::take(&mut self.wrong)
    }

    /// The same with the Unix time, in seconds, at the epoch. Responses then carry Date (RFC 3261 §10.3 step 8), and a
    /// nonce of a process before this one is never taken for a new one.
    pub fn with_wall_clock(self, unix_seconds: u64) -> Registrar {
        Registrar {
            unix_epoch: Some(unix_seconds),
            ..self
        }
    }

    /// The same, taking access tokens too; they need the wall clock.
    pub fn with_tokens(self, tokens: Option<TokenKeys>) -> Registrar {
        Registrar { tokens, ..self }
    }

    /// Where a user can be reached now: highest q first, among equals the newest first. `user` is the unescaped user part.
    pub fn lookup(&self, now: Instant, user: &str) -> Vec<&Binding> {
        let mut found: Vec<&Binding> = self
            .bindings
            .of(user)
            .iter()
            .filter(|binding| binding.expires > now && !binding.waiting)
            .collect();
        found.sort_by_key(|binding| Reverse((binding.q, binding.id)));
        found
    }

    /// The bindings that are reached on this flow, by user.
    pub fn by_flow(&self, flow: &Flow) -> Vec<&Binding> {
        self.bindings.by_flow(flow).collect()
    }

    /// The flow has ended: its bindings with it. What the PBX keeps it keeps until it expires; the edge only forgets
    /// where it was.
    pub fn flow_gone(&mut self, flow: &Flow) -> Vec<Change> {
        self.bindings.flow_gone(flow)
    }

    /// All bindings that are alive, by user and by age: the same order in every run.
    pub fn all(&self, now: Instant) -> Vec<&Binding> {
        self.bindings.all().filter(|binding| binding.expires > now).collect()
    }

    /// How many bindings there are; those count that have expired and were not yet collected.
    pub fn len(&self) -> usize {
        self.bindings.count()
    }

    /// Whether there is no binding.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes what has expired.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Change> {
        self.bindings.expire(now)
    }

    /// When [`Registrar::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.bindings.deadline()
    }

    /// Whether a URI's host is the domain that is served here. RFC 3261 §19.1.4: hosts are compared without case.
    fn is_our_domain(&self, host: &str) -> bool {
        let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        bare(host) == bare(&self.config.domain)
    }

    /// Time since the epoch, or since 1970 where the wall clock is known: the time in nonces.
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch) + Duration::from_secs(self.unix_epoch.unwrap_or(0))
    }

    fn unix_time(&self, now: Instant) -> Option<u64> {
        self.unix_epoch.map(|_| self.age(now).as_secs())
    }

    /// A final response with a To tag.
    fn answer(&self, request: &Message, status: u16) -> Draft {
        request.respond(status).to_tag(&request.stateless_tag(&self.config.key))
    }

    fn refuse(&self, request: &Message, status: u16, why: &str) -> Box<Draft> {
        Box::new(self.answer(request, status).reason_phrase(why))
    }
}
