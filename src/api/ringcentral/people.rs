//! Who is who: extensions of the account, and everybody else, who has a number only.

use serde_json::{Value, json};

use crate::sip::{Scheme, Uri};

/// A user of the edge as the vendor's clients know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The vendor's id: digits.
    pub id: String,
    /// What others dial: digits.
    pub number: String,
    /// The user part of its SIP address.
    pub user: String,
    /// What is shown.
    pub name: String,
    /// Whether it may see and supervise the calls of others.
    pub admin: bool,
    /// Numbers of its other phones.
    pub flip: Vec<String>,
}

impl Extension {
    /// Its one device: all the phones that are registered under its address.
    pub(super) fn device_id(&self) -> String {
        format!("80{}", self.id)
    }

    pub(super) fn path(&self, account: &str) -> String {
        format!("/restapi/v1.0/account/{account}/extension/{}", self.id)
    }
}

/// Somebody in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// An extension: its place in the directory.
    Extension(usize),
    /// Behind a trunk.
    Number(String),
    /// The conference itself.
    Conference,
}

/// All extensions of the one account.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) account: String,
    pub(super) domain: String,
    pub(super) extensions: Vec<Extension>,
}

impl Directory {
    pub(super) fn at(&self, who: &Who) -> Option<&Extension> {
        match who {
            Who::Extension(place) => self.extensions.get(*place),
            Who::Number(_) | Who::Conference => None,
        }
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.id == id)
    }

    pub(super) fn by_number(&self, number: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.number == number)
    }

    pub(super) fn by_device(&self, device: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.device_id() == device)
    }

    /// A party by its SIP address: an extension only under our own domain, for a trunk's caller may have any name.
    pub(super) fn who(&self, address: &str) -> Who {
        let Ok(uri) = Uri::parse(address) else {
            return Who::Number(address.to_owned());
        };
        let user = uri
            .user_unescaped()
            .map_or_else(|| uri.host().to_owned(), |user| user.into_owned());
        let ours = uri.scheme() != Scheme::Tel && uri.host().eq_ignore_ascii_case(&self.domain);
        let place = self
            .extensions
            .iter()
            .position(|extension| extension.user == user || extension.number == user);
        match place {
            Some(place) if ours => Who::Extension(place),
            Some(_) | None => Who::Number(user),
        }
    }

    /// The SIP address under which an extension's phones are registered.
    pub(super) fn address(&self, extension: &Extension) -> Uri {
        Uri::sip(Some(&extension.user), &self.domain)
    }

    /// `from` and `to` of a party.
    pub(super) fn shown(&self, who: &Who) -> Value {
        match who {
            Who::Extension(_) => self.at(who).map_or_else(
                || json!({}),
                |extension| {
                    json!({
                        "phoneNumber": extension.number,
                        "extensionNumber": extension.number,
                        "name": extension.name,
                        "extensionId": extension.id,
                        "deviceId": extension.device_id(),
                    })
                },
            ),
            Who::Number(number) => json!({ "phoneNumber": number, "name": number }),
            Who::Conference => json!({ "phoneNumber": "conference", "name": "Conference" }),
        }
    }

    /// What a filter on `phoneNumber` is compared with.
    pub(super) fn number(&self, who: &Who) -> String {
        match who {
            Who::Extension(_) => self
                .at(who)
                .map_or_else(String::new, |extension| extension.number.clone()),
            Who::Number(number) => number.clone(),
            Who::Conference => "conference".to_owned(),
        }
    }
}

#[cfg(test)]
pub(super) fn directory() -> Directory {
    let extension = |id: &str, number: &str, user: &str, admin| Extension {
        id: id.to_owned(),
        number: number.to_owned(),
        user: user.to_owned(),
        name: format!("Name of {user}"),
        admin,
        flip: Vec::new(),
    };
    Directory {
        account: "400100".to_owned(),
        domain: "example.test".to_owned(),
        extensions: vec![
            extension("1001", "101", "agent1", false),
            extension("1002", "102", "agent2", false),
            extension("1003", "103", "boss", true),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_known_by_user_and_by_number_but_only_here() {
        let directory = directory();
        assert_eq!(directory.who("sip:agent2@example.test"), Who::Extension(1));
        assert_eq!(directory.who("sip:103@EXAMPLE.test;user=phone"), Who::Extension(2));
        for stranger in ["sip:agent2@carrier.test", "tel:102", "sip:+4930@example.test", "???"] {
            assert!(matches!(directory.who(stranger), Who::Number(_)), "{stranger}");
        }
    }
}
