//! What a party can do, by its Allow and Supported headers (RFC 3261 §20.5, §20.37).

use crate::sip::{HeaderName, Message};

/// What the party said of itself in Allow and Supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Abilities {
    /// Allow: REFER.
    pub refer: bool,
    /// Supported: replaces.
    pub replaces: bool,
    /// Allow: UPDATE.
    pub update: bool,
}

impl Abilities {
    /// What a message says in Allow and Supported. RFC 3261 §20.5: no Allow says nothing; REFER is then tried.
    pub(crate) fn of(message: &Message) -> Abilities {
        let mut abilities = Abilities {
            refer: message.header(HeaderName::Allow).is_none(),
            replaces: message.has_token(HeaderName::Supported, "replaces"),
            update: false,
        };
        for method in message.octets(HeaderName::Allow) {
            abilities.refer |= method.eq_ignore_ascii_case(b"REFER");
            abilities.update |= method.eq_ignore_ascii_case(b"UPDATE");
        }
        abilities
    }

    /// What a later message of the same party says; silence leaves what is known.
    pub(crate) fn again(known: Abilities, message: &Message) -> Abilities {
        let said = Abilities::of(message);
        let allowed = message.header(HeaderName::Allow).is_some();
        Abilities {
            refer: if allowed { said.refer } else { known.refer },
            replaces: if message.header(HeaderName::Supported).is_some() {
                said.replaces
            } else {
                known.replaces
            },
            update: if allowed { said.update } else { known.update },
        }
    }
}
