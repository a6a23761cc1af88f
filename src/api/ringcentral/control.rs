//! What orders of sessions and parties have in common: whose they are, and in which state they must be.

use serde_json::Value;

use super::ask::Caller;
use super::desk::{Desk, Place};
use super::fault::Fault;
use super::party::Party;
use super::session::Session;
use super::state::{SOON, Shared};
use super::words::Code;
use crate::engine::LegHandle;
use crate::sip::Uri;

/// Who is meant by an order's target: each of them one way to say it.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    pub(super) phone_number: Option<String>,
    pub(super) extension_number: Option<String>,
    pub(super) extension_id: Option<String>,
}

impl Shared {
    /// The session, for somebody who may see it.
    pub(super) fn look<T>(
        &self,
        caller: &Caller,
        session: &str,
        look: impl FnOnce(&mut Desk, &str) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let me = caller.is(self)?;
        self.desk(|desk| {
            let found = desk
                .session(session)
                .ok_or_else(|| Fault::not_found("telephonySessionId"))?;
            if !me.admin && !found.concerns(&me.id, &self.directory) && !desk.opened_by(found, caller.extension) {
                return Err(Fault::permission("CallControl"));
            }
            let tail = found.tail.clone();
            look(desk, &tail)
        })
    }

    /// The party, for somebody who may control it; `fit` says whether its state allows the order.
    pub(super) fn party<T>(
        &self,
        caller: &Caller,
        (session, party): (&str, &str),
        fit: impl FnOnce(&mut Desk, &Place) -> Result<T, Fault>,
    ) -> Result<(Place, T), Fault> {
        self.look(caller, session, |desk, _| {
            let (place, _) = desk.find(session, party).ok_or_else(|| Fault::not_found("partyId"))?;
            let fitting = fit(desk, &place)?;
            Ok((place, fitting))
        })
    }

    /// The party as it stands, in an answer.
    pub(super) fn shown(&self, place: &Place) -> Result<Value, Fault> {
        let shown = self.desk(|desk| {
            let session = desk.sessions.get(&place.session)?;
            Some(session.party(place.party)?.resource(&session.tail, &self.directory))
        });
        shown.ok_or_else(|| Fault::state("the session has ended"))
    }

    /// The party once its event has come; as it stands when none comes soon.
    pub(super) async fn shown_as(&self, place: &Place, wanted: impl Fn(&Party) -> bool) -> Result<Value, Fault> {
        let directory = &self.directory;
        let seen = self.until(SOON, |desk| {
            let session = desk.sessions.get(&place.session)?;
            let party = session.party(place.party).filter(|party| wanted(party))?;
            Some(party.resource(&session.tail, directory))
        });
        match seen.await {
            Some(seen) => Ok(seen),
            None => self.shown(place),
        }
    }

    /// Where an order goes to.
    pub(super) fn address(&self, target: &Target) -> Result<Uri, Fault> {
        let known = |found: Option<&super::people::Extension>, field| {
            found
                .map(|extension| self.directory.address(extension))
                .ok_or_else(|| Fault::not_found(field))
        };
        if let Some(number) = &target.extension_number {
            return known(self.directory.by_number(number), "extensionNumber");
        }
        if let Some(id) = &target.extension_id {
            return known(self.directory.by_id(id), "extensionId");
        }
        let number = target.phone_number.as_deref().unwrap_or_default();
        let plain: String = number.chars().filter(|c| !" ()-.".contains(*c)).collect();
        if let Some(extension) = self.directory.by_number(&plain) {
            return Ok(self.directory.address(extension));
        }
        let good = |c: char| c.is_ascii_digit() || "+*#".contains(c);
        if plain.is_empty() || plain.len() > 64 || !plain.chars().all(good) {
            return Err(Fault::parameter("phoneNumber", number));
        }
        Ok(Uri::sip(Some(&plain.replace('#', "%23")), &self.directory.domain))
    }
}

impl Desk {
    /// The leg of a party that talks.
    pub(super) fn talking(&self, place: &Place) -> Result<LegHandle, Fault> {
        let party = self.party(place).ok_or_else(|| Fault::not_found("partyId"))?;
        if !party.status.code.talks() || party.moving {
            return Err(Fault::state(format!("the party is {}", party.status.code.text())));
        }
        party.leg().ok_or_else(|| Fault::state("the party has no phone"))
    }

    /// The legs of a called party that rings.
    pub(super) fn ringing_legs(&self, place: &Place) -> Result<Vec<LegHandle>, Fault> {
        let party = self.party(place).ok_or_else(|| Fault::not_found("partyId"))?;
        if !party.status.code.rings() || place.party == 1 || party.legs.is_empty() {
            return Err(Fault::state(format!("the party is {}", party.status.code.text())));
        }
        Ok(party.legs.clone())
    }

    /// The party that talks with this one, whose leg is held when this one presses hold.
    pub(super) fn held_by(&self, place: &Place, wanted: Code) -> Result<LegHandle, Fault> {
        let leg = self.talking(place)?;
        let code = self.party(place).map(|party| party.status.code);
        if code != Some(wanted) {
            return Err(Fault::state(format!(
                "the party is {}",
                code.map_or("gone", Code::text)
            )));
        }
        self.other(leg)
            .ok_or_else(|| Fault::state("the party talks with nobody"))
    }

    pub(super) fn opened_by(&self, session: &Session, extension: usize) -> bool {
        self.hosts.get(&session.tail) == Some(&extension)
    }
}
