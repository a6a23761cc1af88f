//! Calls for an application: nobody is rung; a client of the API decides what becomes of them.
//!
//! RFC 3261 §8.2 (the edge is the UAS), §13.3.1.1 (a caller that waits hears of it every minute from whoever rings it).

use std::time::Instant;

use compact_str::CompactString;

use super::Engine;
use super::invite::Refused;
use super::route::Caller;
use super::settings::{Application, Settings};
use crate::sdp::Description;
use crate::sip::{HeaderName, Message, Scheme, Uri};
use crate::transaction::ServerHandle;
use crate::transport::Flow;
use crate::vocabulary::{OnFailure, Refusal, Rung};

/// More headers than these of one call are not told; nor are longer values.
const MOST_HEADERS: usize = 32;
const LONGEST: usize = 1_024;

impl Settings {
    /// The application that a number belongs to.
    pub fn application(&self, user: &str) -> Option<&Application> {
        self.applications
            .iter()
            .find(|application| application.pattern.is_match(user))
    }
}

impl Engine {
    /// Whether every application of a ladder exists.
    pub(super) fn check_ladder(&self, on_failure: Option<&OnFailure>) -> Result<(), Refusal> {
        let rungs = match on_failure {
            Some(OnFailure::Ladder(rungs)) => rungs.as_slice(),
            Some(OnFailure::Transferor | OnFailure::Next(_) | OnFailure::HangUp) | None => &[],
        };
        let known = |name: &String| self.settings.applications.iter().any(|known| known.name == *name);
        let unknown = rungs.iter().find_map(|rung| match rung {
            Rung::Application(name) => (!known(name)).then_some(name),
            Rung::Target { .. } | Rung::Transferor | Rung::HangUp => None,
        });
        match unknown {
            None => Ok(()),
            Some(name) => Err(Refusal::Invalid {
                field: "ladder",
                why: format!("there is no [[application]] `{name}`"),
            }),
        }
    }

    /// The application that `target` belongs to, by whomever it is called but a stranger.
    pub(super) fn application_for(&self, target: &Uri, caller: Caller) -> Option<String> {
        let identity = &self.transfers.calls.legs.identity;
        let here = target.scheme() == Scheme::Tel
            || target.host().eq_ignore_ascii_case(&self.settings.domain)
            || identity.is_us(target.host(), target.port());
        match caller {
            Caller::Stranger => return None,
            Caller::Pbx | Caller::Trusted | Caller::Phone => {}
        }
        let user = target.user_unescaped().filter(|_| here)?;
        self.settings.application(&user).map(|found| found.name.clone())
    }

    /// The call waits in a hub of its own.
    #[expect(
        clippy::too_many_arguments,
        reason = "what an INVITE is: its flow, transaction, message, user, offer"
    )]
    pub(super) fn arrive(
        &mut self,
        now: Instant,
        flow: Flow,
        server: ServerHandle,
        request: &Message,
        user: Option<CompactString>,
        offer: Option<Description>,
        application: &str,
    ) -> Result<(), Refused> {
        if let Some(offer) = &offer {
            let legs = &self.transfers.calls.legs;
            legs.check_offer(&flow, std::iter::empty(), offer)
                .map_err(|error| Refused(error.status(), Some(error.to_string())))?;
        }
        let headers = told(request);
        let calls = &mut self.transfers.calls;
        let leg = calls
            .arrive(now, flow, server, request, user, offer, application, headers)
            .map_err(|error| Refused(error.status(), Some(error.to_string())))?;
        let credentials = self.settings.peer_credentials(&flow);
        self.legs().set_credentials(leg, credentials);
        Ok(())
    }
}

/// Headers of an INVITE that SIP itself does not know, or that say how the call came here.
fn told(request: &Message) -> Vec<(String, String)> {
    let wanted = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.starts_with("x-")
            || name.starts_with("p-")
            || matches!(
                name.as_str(),
                "user-to-user" | "diversion" | "call-info" | "history-info"
            )
    };
    let pair = |(_, name, value): (HeaderName, &[u8], &[u8])| {
        let (name, value) = (std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?);
        (wanted(name) && value.len() <= LONGEST).then(|| (name.to_owned(), value.trim().to_owned()))
    };
    request.all_headers().filter_map(pair).take(MOST_HEADERS).collect()
}
