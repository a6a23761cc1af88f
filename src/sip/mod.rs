//! sip

mod capabilities;
mod chars;
pub mod digest;
mod draft;
mod error;
mod escape;
mod find;
mod forward;
mod header_name;
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
mod status;
mod stateless_tag;
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
pub use forward::Forward;
pub use error::{ParseError, ParseErrorKind};
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
