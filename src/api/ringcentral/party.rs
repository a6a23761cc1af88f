//! A party of a session, and the two forms in which clients read it.

use serde_json::{Value, json};

use super::desk::SipData;
use super::people::{Directory, Who};
use super::words::{Code, ConferenceRole, Direction, Reason};
use crate::engine::{CallHandle, Cause, LegHandle};

/// The party elsewhere that took somebody's place; clients need all three ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) telephony_session: String,
    pub(super) session: String,
    pub(super) party: String,
}

/// Where a party stands, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: Code,
    pub(super) reason: Option<Reason>,
    pub(super) peer: Option<Peer>,
}

impl Status {
    pub(super) fn of(code: Code) -> Status {
        Status {
            code,
            reason: None,
            peer: None,
        }
    }
}

/// A recording that was asked for by API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recording {
    pub(super) id: String,
    pub(super) active: bool,
}

/// One party.
#[derive(Clone, Debug)]
pub(super) struct Party {
    /// 1 to 9.
    pub(super) number: u8,
    pub(super) who: Who,
    pub(super) direction: Direction,
    pub(super) from: Who,
    pub(super) to: Who,
    pub(super) status: Status,
    pub(super) muted: bool,
    pub(super) stand_alone: bool,
    pub(super) role: Option<ConferenceRole>,
    pub(super) recordings: Vec<Recording>,
    /// It rang and was not answered, by no will of its own.
    pub(super) missed: bool,
    /// The orbit in which it waits.
    pub(super) park: Option<String>,
    /// The dialog with its phone.
    pub(super) dialog: Option<SipData>,
    /// Its phones while it rings, its phone when it talks.
    pub(super) legs: Vec<LegHandle>,
    /// The native call that it is in.
    pub(super) call: Option<CallHandle>,
    /// A transfer decides what becomes of it.
    pub(super) moving: bool,
    /// Its last leg ended; to be told with the end of its call.
    pub(super) ended: Option<Cause>,
}

impl Party {
    pub(super) fn new(number: u8, who: Who, direction: Direction, from: Who, to: Who) -> Party {
        Party {
            number,
            who,
            direction,
            from,
            to,
            status: Status::of(Code::Setup),
            muted: false,
            stand_alone: false,
            role: None,
            recordings: Vec::new(),
            missed: false,
            park: None,
            dialog: None,
            legs: Vec::new(),
            call: None,
            moving: false,
            ended: None,
        }
    }

    /// The phone that it talks by.
    pub(super) fn leg(&self) -> Option<LegHandle> {
        self.legs.first().copied()
    }

    fn common(&self, session: &str, directory: &Directory) -> Value {
        let mut party = json!({
            "accountId": directory.account,
            "id": party_id(session, self.number),
            "direction": self.direction,
            "from": directory.shown(&self.from),
            "to": directory.shown(&self.to),
            "status": self.status_json(),
            "park": {},
            "standAlone": self.stand_alone,
            "muted": self.muted,
        });
        put(
            &mut party,
            "extensionId",
            directory
                .at(&self.who)
                .map(|extension| extension.id.clone())
                .map(Value::from),
        );
        put(&mut party, "conferenceRole", self.role.map(|role| json!(role)));
        put(
            &mut party,
            "park",
            self.park.as_ref().map(|orbit| json!({ "id": orbit })),
        );
        let recordings = self
            .recordings
            .iter()
            .map(|recording| json!({ "id": recording.id, "active": recording.active }));
        put(
            &mut party,
            "recordings",
            (!self.recordings.is_empty()).then(|| recordings.collect()),
        );
        party
    }

    /// As it stands in answers.
    pub(super) fn resource(&self, session: &str, directory: &Directory) -> Value {
        let mut party = self.common(session, directory);
        put(
            &mut party,
            "attributes",
            Some(json!({ "queueCall": false, "emergencyCallback": false })),
        );
        let owner = directory
            .at(&self.who)
            .map(|extension| json!({ "accountId": directory.account, "extensionId": extension.id }));
        put(&mut party, "owner", owner);
        party
    }

    /// As it stands in notifications.
    pub(super) fn notified(&self, session: &str, directory: &Directory) -> Value {
        let mut party = self.common(session, directory);
        put(&mut party, "queueCall", Some(json!(false)));
        put(&mut party, "missedCall", Some(json!(self.missed)));
        party
    }

    fn status_json(&self) -> Value {
        let mut status = json!({ "code": self.status.code, "rcc": false });
        put(&mut status, "reason", self.status.reason.map(|reason| json!(reason)));
        put(&mut status, "parkData", self.park.as_ref().map(|orbit| json!(orbit)));
        let peer = self.status.peer.as_ref().map(|peer| {
            json!({ "telephonySessionId": peer.telephony_session, "sessionId": peer.session, "partyId": peer.party })
        });
        put(&mut status, "peerId", peer);
        status
    }
}

fn put(object: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(key.to_owned(), value);
    }
}

/// `p-<tail>-N`, whose tail is its session's.
pub(super) fn party_id(session: &str, number: u8) -> String {
    format!("p-{session}-{number}")
}
