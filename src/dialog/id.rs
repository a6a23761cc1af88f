//! The identifier of a dialog, and the one place where its sides are swapped.
//!
//! **Owns** the three values that name a dialog (RFC 3261 §12) and how they are read from a message, written into
//! Replaces and read from it. **Refuses** to guess: all three must agree, always (a Call-ID alone names nothing).
//!
//! **RFC sections**: RFC 3261 §12, §12.1.1 and §12.1.2 (an absent tag has the value null); RFC 3891 §3 (to-tag is the
//! recipient's local tag, and `0` stands for no tag).
//!
//! | seen from us | request received | response received | Replaces received | Replaces sent |
//! |---|---|---|---|---|
//! | local tag | To | From | to-tag | from-tag |
//! | remote tag | From | To | from-tag | to-tag |
//!
//! ```
//! use warmline::dialog::DialogId;
//! use warmline::sip::Replaces;
//!
//! let ours = DialogId { call_id: "98asjd8@carol".into(), local_tag: "ours".into(), remote_tag: "theirs".into() };
//! let replaces = Replaces::from(&ours);
//! assert_eq!((replaces.to_tag.as_str(), replaces.from_tag.as_str()), ("theirs", "ours"));
//! ```

use super::table::{Match, Query, Table};
use crate::sip::{Message, Replaces};
use compact_str::CompactString;

/// RFC 3891 §3: a tag of `0` stands for a party of RFC 2543, which has none.
const NO_TAG: &str = "0";

/// A dialog as one of its two parties names it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DialogId {
    /// The Call-ID.
    pub call_id: CompactString,
    /// The tag that we made.
    pub local_tag: CompactString,
    /// The tag that the peer made; empty if it has none.
    pub remote_tag: CompactString,
}

impl DialogId {
    /// The same dialog as the peer names it.
    pub fn swapped(&self) -> DialogId {
        DialogId {
            call_id: self.call_id.clone(),
            local_tag: self.remote_tag.clone(),
            remote_tag: self.local_tag.clone(),
        }
    }

    /// The dialog as a look-up sees it.
    pub fn query(&self) -> Query<'_> {
        Query {
            local_tag: &self.local_tag,
            call_id: &self.call_id,
            remote_tag: &self.remote_tag,
        }
    }
}

/// What to send to the dialog's peer so that it finds the dialog: our remote tag is its local tag.
impl From<&DialogId> for Replaces {
    fn from(id: &DialogId) -> Replaces {
        let or_none = |tag: &CompactString| match tag.is_empty() {
            true => CompactString::const_new(NO_TAG),
            false => tag.clone(),
        };
        Replaces {
            call_id: id.call_id.clone(),
            to_tag: or_none(&id.remote_tag),
            from_tag: or_none(&id.local_tag),
            early_only: false,
        }
    }
}

/// The dialog that a received Replaces names, seen from us.
impl From<&Replaces> for DialogId {
    fn from(replaces: &Replaces) -> DialogId {
        DialogId {
            call_id: replaces.call_id.clone(),
            local_tag: replaces.to_tag.clone(),
            remote_tag: replaces.from_tag.clone(),
        }
    }
}

impl<'a> Query<'a> {
    /// The dialog that a received message belongs to; `None` for a message outside of any (no tag of ours in it).
    pub fn of(message: &'a Message) -> Option<Query<'a>> {
        let (local, remote) = match message.is_request() {
            true => (message.to_tag(), message.from_tag()),
            false => (message.from_tag(), message.to_tag()),
        };
        Some(Query {
            local_tag: local?,
            call_id: message.call_id(),
            remote_tag: remote.unwrap_or_default(),
        })
    }

    /// The dialog that a received Replaces names.
    pub fn of_replaces(replaces: &'a Replaces) -> Query<'a> {
        Query {
            local_tag: &replaces.to_tag,
            call_id: &replaces.call_id,
            remote_tag: &replaces.from_tag,
        }
    }
}

impl<T> Table<T> {
    /// Finds the dialog that a received Replaces names (RFC 3891 §3). A from-tag of `0` matches `0` and no tag at all.
    pub fn find_replaced(&self, replaces: &Replaces) -> Match {
        let Query {
            local_tag,
            call_id,
            remote_tag,
        } = Query::of_replaces(replaces);
        match self.find(local_tag, call_id, remote_tag) {
            Match::Mismatch if remote_tag == NO_TAG => self.find(local_tag, call_id, ""),
            found @ (Match::Found(_)
            | Match::NotOurs
            | Match::Forged
            | Match::Gone(_)
            | Match::OtherNode(_)
            | Match::Mismatch) => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialog::Seal;

    fn id(local: &str, remote: &str) -> DialogId {
        DialogId {
            call_id: "425928@bobster.example.org".into(),
            local_tag: local.into(),
            remote_tag: remote.into(),
        }
    }

    #[test]
    fn replaces_there_and_back_is_the_peers_view() {
        let ours = id("7743", "6472");
        let theirs = DialogId::from(&Replaces::from(&ours));
        assert_eq!(theirs, ours.swapped());
        assert_eq!(theirs.swapped(), ours);
    }

    #[test]
    fn a_peer_without_a_tag_is_named_zero() {
        let replaces = Replaces::from(&id("7743", ""));
        assert_eq!(replaces.to_tag, "0");
    }

    #[test]
    fn a_from_tag_of_zero_finds_the_peer_without_a_tag() {
        let mut table = Table::new(Seal::new([1; 16], 0), 0);
        let call_id = "425928@bobster.example.org";
        let old = table.insert_with(call_id, Some(""), |_, _| ());
        let zero = table.insert_with(call_id, Some("0"), |_, _| ());
        let new = table.insert_with(call_id, Some("6472"), |_, _| ());
        let named = |handle, from_tag: &str| Replaces {
            call_id: call_id.into(),
            to_tag: table.tag(handle).unwrap().into(),
            from_tag: from_tag.into(),
            early_only: false,
        };
        assert_eq!(table.find_replaced(&named(old, "0")), Match::Found(old));
        assert_eq!(table.find_replaced(&named(zero, "0")), Match::Found(zero));
        assert_eq!(table.find_replaced(&named(new, "0")), Match::Mismatch);
        assert_eq!(table.find_replaced(&named(new, "6472")), Match::Found(new));
    }
}
