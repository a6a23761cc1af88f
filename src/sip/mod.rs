//! The message layer: what came over the wire, and what goes out again.
//!
//! **Owns** the wire form of SIP. One pass over the octets ([`Message::parse`]) finds the start line, every header line
//! and what matching needs (top Via's branch, Call-ID, both tags, CSeq, Content-Length, body); everything else is read
//! when somebody asks. A message that passes through is edited by splicing ([`Forward`]), one that we originate is
//! printed once ([`Draft`]), and one that cannot be read is answered as far as it can be ([`Message::salvage`]).
//! Typed values: [`Uri`], [`NameAddr`], [`Via`], [`Replaces`], [`ReferTo`], [`SubscriptionState`], [`Sipfrag`], and
//! [`digest`]; rsip's types through conversions that fail rather than lose something.
//!
//! **Refuses** to hold state, to know dialogs or transactions, and to guess. What two elements could read in two ways is
//! an error and not a choice: a bare CR or LF, a control in a header name, two Content-Lengths that differ, a second
//! From, To, Call-ID or CSeq, a second tag or branch, a number that does not fit. An error names the header and never
//! quotes the message.
//!
//! RFC 3261 §7 (messages), §8.1.1 and §8.2.6 (what requests and responses carry), §16.6 (forwarding), §18.3 (framing of
//! datagrams), §19.1 (URIs), §20 (headers), §22 (digest), §25 (grammar) · RFC 3515, 3891 (Refer-To, Replaces) · RFC 3420
//! (sipfrag) · RFC 3581 (rport) · RFC 3966 (tel) · RFC 4475, 5118 (torture) · RFC 6665 §8.2.3 · RFC 7616, 8760.
//!
//! | a message | becomes | by |
//! |---|---|---|
//! | reads, and its rules hold | a [`Message`] | [`Message::parse`], [`Message::validate`] |
//! | reads, but breaks a rule a UAS answers for | an answer of [`ParseError::status`] | [`Message::respond`] |
//! | does not read, is a request, has a Via | 400, 414, 505, 513 naming the culprit | [`Message::salvage`] |
//! | does not read, is an ACK, a response, or noise | nothing | |
//!
//! Names go out as they came; compact ones stay compact. White space before a colon goes when a message is forwarded.
//! Folding stays inside values; the typed readers see through it. Octets that are not UTF-8 pass.
//!
//! ```
//! use warmline::sip::{Forward, HeaderName, Message, Method};
//!
//! let octets = "BYE sip:bob@192.0.2.4 SIP/2.0\r\n\
//!     v: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnashds10\r\n\
//!     Max-Forwards: 70\r\n\
//!     From: Alice <sip:alice@example.com>;tag=1928301774\r\n\
//!     To: <sip:bob@example.com>;tag=a6c85cf\r\n\
//!     Call-ID: a84b4c76e66710\r\n\
//!     CSeq: 231 BYE\r\n\r\n";
//! let bye = Message::parse(octets.into())?;
//! bye.validate()?;
//! assert_eq!((bye.method(), bye.to_tag()), (&Method::Bye, Some("a6c85cf")));
//!
//! let passed = Forward::new(&bye).push_via("SIP/2.0/TCP edge;branch=z9hG4bK7").max_forwards(69).print();
//! assert_eq!(Message::parse(passed)?.values(HeaderName::Via).count(), 2);
//!
//! let answer = Message::parse(bye.respond(200).print())?;
//! assert_eq!((answer.status(), answer.branch()), (Some(200), Some("z9hG4bKnashds10")));
//! # Ok::<(), warmline::sip::ParseError>(())
//! ```

mod capabilities;
mod chars;
pub mod digest;
mod draft;
mod error;
mod escape;
mod find;
mod forward;
mod header_name;
mod identifiers;
mod index;
mod limits;
mod message;
mod method;
mod name_addr;
mod params;
mod refer_to;
mod replaces;
mod respond;
mod scan;
mod sipfrag;
mod stateless_tag;
mod status;
mod subscription_state;
#[cfg(test)]
mod tests;
mod uri;
mod validate;
mod via;
mod vocabulary;

pub use capabilities::{ACCEPT, ALLOW, SUPPORTED, is_allowed, unsupported, unsupported_by_proxy};
pub use digest::{Algorithm, Challenge, Credentials, NonceKey, NonceState, Secret, answer};
pub use draft::Draft;
pub use error::{ParseError, ParseErrorKind};
pub use forward::Forward;
pub use header_name::HeaderName;
pub use limits::Limits;
pub use message::Message;
pub use method::Method;
pub use name_addr::NameAddr;
pub use refer_to::ReferTo;
pub use replaces::Replaces;
pub use sipfrag::Sipfrag;
pub use status::reason_phrase;
pub use subscription_state::{SubscriptionState, Substate};
pub use uri::{Scheme, Uri};
pub use via::Via;
