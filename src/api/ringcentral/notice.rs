//! What is told of a party, once for everybody, and cut to shape for each subscriber.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::desk::SipData;
use super::people::Directory;
use super::words::{Code, Direction, Origin};
use crate::api::rfc3339;

/// One event of one party.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) at: SystemTime,
    /// `s-…`
    pub(super) session: String,
    /// The numeric id.
    pub(super) number: String,
    pub(super) origin: Origin,
    pub(super) sequence: u64,
    /// The party as notifications show it, without `sipData`.
    pub(super) party: Value,
    /// Whose event it is; `None`: the account's.
    pub(super) extension: Option<String>,
    /// What filters ask for.
    pub(super) facts: Facts,
}

/// What filters ask for.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) direction: Direction,
    pub(super) missed: bool,
    pub(super) code: Code,
    pub(super) numbers: [String; 2],
    pub(super) recorded: bool,
    pub(super) dialog: Option<SipData>,
}

impl Notice {
    /// The path that the event is of.
    pub(super) fn event(&self, directory: &Directory) -> String {
        let extension = self.extension.as_deref().and_then(|id| directory.by_id(id));
        let base = extension.map_or_else(
            || format!("/restapi/v1.0/account/{}", directory.account),
            |extension| extension.path(&directory.account),
        );
        format!("{base}/telephony/sessions")
    }

    /// `body` of the envelope.
    pub(super) fn body(&self, server: &str, sip_data: bool) -> Value {
        let mut party = self.party.clone();
        if let (true, Some(dialog), Some(object)) = (sip_data, &self.facts.dialog, party.as_object_mut()) {
            object.insert("sipData".to_owned(), json!(dialog));
        }
        json!({
            "sequence": self.sequence,
            "sessionId": self.number,
            "telephonySessionId": self.session,
            "serverId": server,
            "eventTime": rfc3339(self.at),
            "parties": [party],
            "origin": { "type": self.origin },
        })
    }
}
