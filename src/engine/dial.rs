//! Click to dial: where the two parties are, and as whom each is called.

use std::time::{Duration, Instant};

use super::route::{Caller, Way};
use super::{Engine, Refusal, Reply};
use crate::call::Dialled;
use crate::leg::{Credentials, Invitation};
use crate::sdp::{Description, Direction};
use crate::sip::{NameAddr, Uri};
use crate::vocabulary::CallHandle;

impl Engine {
    /// Rings `from` on its own flow, whoever keeps its binding; the PBX is asked only about those that are not here.
    ///
    /// # Errors
    /// When either cannot be called; nobody rings then.
    pub(super) fn dial(
        &mut self,
        now: Instant,
        from: &Uri,
        to: &Uri,
        ring_timeout: Option<Duration>,
    ) -> Result<Reply, Refusal> {
        if self.draining.is_some() {
            let why = "the edge is stopping and takes no new calls".to_owned();
            return Err(Refusal::Conflict { why });
        }
        let nowhere = |field| {
            move |status: u16| Refusal::Invalid {
                field,
                why: match status {
                    480 => "its phone is not registered".to_owned(),
                    484 => "it names nobody".to_owned(),
                    _ => format!("there is no way to it ({status})"),
                },
            }
        };
        let here = self.ways(now, from, Caller::Pbx, None, None);
        let first = here.or_else(|_| self.ways(now, from, Caller::Phone, None, None));
        let first = first.map_err(nowhere("from"))?;
        // Dialled by the rights of the party on whose behalf it is.
        self.ways(now, to, Caller::Phone, from.user(), None)
            .map_err(nowhere("to"))?;
        let dialled = Dialled {
            from: NameAddr::new(from.without_headers()),
            to: NameAddr::new(to.without_headers()),
            ring_timeout,
        };
        // The phone shows whom it is about to talk with.
        let (as_whom, whom) = (dialled.to.clone(), dialled.from.clone());
        let invitation = |way| self.invitation(way, &as_whom, &whom, None, ring_timeout);
        let ways = first.into_iter().map(invitation).collect();
        let call = self.transfers.calls.dial(now, dialled, ways);
        let view = self.transfers.calls.view(call);
        view.map(Reply::Call).ok_or_else(|| Refusal::Conflict {
            why: "the call ended at once".to_owned(),
        })
    }

    /// The first party has answered: the second is offered what it has.
    pub(super) fn dial_on(&mut self, now: Instant, call: CallHandle, dialled: &Dialled) {
        let offer = self.transfers.calls.get(call).and_then(|call| {
            let first = self.transfers.calls.legs.get(call.caller)?;
            Some(first.remote.as_ref()?.with_direction(Direction::SendRecv))
        });
        let ways = self.ways(now, &dialled.to.uri, Caller::Phone, dialled.from.uri.user(), None);
        let ways = match offer {
            None => Err(488),
            offer => ways.map(|ways| {
                let Dialled { from, to, ring_timeout } = dialled;
                let invitation = |way| self.invitation(way, from, to, offer.clone(), *ring_timeout);
                ways.into_iter().map(invitation).collect()
            }),
        };
        self.transfers.calls.dial_on(now, call, ways);
    }

    fn invitation(
        &self,
        way: Way,
        from: &NameAddr,
        to: &NameAddr,
        offer: Option<Description>,
        ring_timeout: Option<Duration>,
    ) -> Invitation {
        let credentials: Option<Credentials> = way.to_pbx.then(|| self.settings.credentials(from)).flatten();
        Invitation {
            flow: way.flow,
            request_uri: way.request_uri,
            routes: way.routes,
            from: from.clone(),
            to: to.clone(),
            offer,
            extra: Vec::new(),
            replaces: None,
            credentials,
            call_id: None,
            ring_timeout,
            max_forwards: 70,
            next: way.next,
            wanted: way.wanted,
            reached: way.reached,
        }
    }
}
