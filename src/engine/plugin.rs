//! Site policy as code: who may call and move whom, and what leaves in outgoing INVITEs.
//!
//! **Owns** the questions that the engine asks a [`Plugin`]. **Refuses** to give it the engine: a plugin decides and
//! orders, it never reaches in. It sees the same [`Event`]s as every observer and returns the same [`Command`]s as the
//! HTTP API. Every method has a default: an empty plugin changes nothing.
//!
//! A plugin is as pure as the engine: no clock, no socket, no lock that others hold. What needs the outside answers
//! from what it was told before; the host keeps it up to date through whatever it shares with the plugin.
//!
//! ```
//! use warmline::engine::{Denied, NewCall, Plugin, Routing};
//!
//! #[derive(Debug)]
//! struct NoPremium;
//!
//! impl Plugin for NoPremium {
//!     fn route(&mut self, call: &NewCall<'_>) -> Routing {
//!         match call.target.user() {
//!             Some(number) if number.starts_with("0900") => Routing::Refuse(Denied::new(403, "Premium Numbers Are Off")),
//!             Some(_) | None => Routing::AsUsual,
//!         }
//!     }
//! }
//! ```

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Instant;

use compact_str::CompactString;

use super::{Command, CommandId, Denied, Engine, Event};
use crate::sip::{HeaderName, Message, Uri};
use crate::transfer::Asked;

/// The id of orders that a plugin gives; a host must not use it for its own.
pub const PLUGIN: CommandId = CommandId(u64::MAX);

/// How often one input may make a plugin order something, until the engine stops asking it.
pub(super) const MOST_ROUNDS: usize = 16;

/// An INVITE that was accepted and begins a call.
#[derive(Debug)]
pub struct NewCall<'a> {
    /// The engine's time.
    pub now: Instant,
    /// Whom it calls: the Request-URI.
    pub target: &'a Uri,
    /// The request.
    pub request: &'a Message,
    /// Where it came from.
    pub source: SocketAddr,
    /// Who proved to be the caller; `None` for trusted sources and an open registrar.
    pub user: Option<&'a str>,
}

/// What becomes of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// As registrar, routes and PBX say.
    #[default]
    AsUsual,
    /// These are called instead, all at once; each goes its usual way.
    To(Vec<Uri>),
    /// Nobody is called.
    Refuse(Denied),
}

/// An INVITE that is about to leave.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Its Request-URI.
    pub target: &'a Uri,
    /// A transfer dials it.
    pub transfer: bool,
    /// The headers that the edge passes on or adds and does not own: change, remove, add. A name that the edge owns in
    /// every dialog (Via, From, Contact, Replaces, …) is dropped again.
    pub headers: &'a mut Vec<(CompactString, CompactString)>,
}

/// Site policy. Given to [`Engine::with_plugin`].
pub trait Plugin: Debug + Send {
    /// Where a new call goes.
    fn route(&mut self, call: &NewCall<'_>) -> Routing {
        let _ = call;
        Routing::AsUsual
    }

    /// Whether a transfer may be: asked for REFER, for orders of API clients and for INVITE with Replaces (which is
    /// refused with 403, whatever the status), before the target hears anything.
    ///
    /// # Errors
    /// The refusal that the transferor gets.
    fn allow(&mut self, transfer: &Asked<'_>) -> Result<(), Denied> {
        let _ = transfer;
        Ok(())
    }

    /// What leaves in an INVITE.
    fn rewrite(&mut self, invite: &mut Outgoing<'_>) {
        let _ = invite;
    }

    /// What happened, and what shall be done about it. Answers to these orders are not told; their events are.
    fn observe(&mut self, now: Instant, event: &Event) -> Vec<Command> {
        let _ = (now, event);
        Vec::new()
    }
}

impl Engine {
    /// The same engine with a site's policy.
    #[must_use]
    pub fn with_plugin(self, plugin: impl Plugin + 'static) -> Engine {
        self.with_boxed_plugin(Box::new(plugin))
    }

    /// The same for one that is known at run time only.
    pub fn with_boxed_plugin(mut self, plugin: Box<dyn Plugin>) -> Engine {
        self.plugin = Some(plugin);
        self
    }

    /// Lets the plugin change what leaves; what the edge owns stays its own.
    pub(super) fn rewrite(&mut self, target: &Uri, transfer: bool, headers: &mut Vec<(CompactString, CompactString)>) {
        let Some(plugin) = &mut self.plugin else { return };
        let before = headers.clone();
        plugin.rewrite(&mut Outgoing {
            target,
            transfer,
            headers,
        });
        // Line ends in a value would be headers of their own.
        let clean = |text: &str| !text.is_empty() && !text.contains(['\r', '\n', '\0']);
        headers.retain(|header| {
            let (name, value) = header;
            let own = super::invite::is_ours(HeaderName::lookup(name.as_bytes()));
            let token = name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&octet));
            before.contains(header) || (!own && token && clean(name) && clean(value))
        });
    }
}
