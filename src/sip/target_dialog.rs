//! Target-Dialog (RFC 4538): which dialog a request outside of it speaks about, and that its sender knows that dialog.

use super::error::{ParseError, ParseErrorKind};
use super::header_name::HeaderName;
use super::message::Message;
use super::params;
use compact_str::CompactString;

/// A Target-Dialog value. Both tags are seen from the recipient (RFC 4538 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetDialog {
    /// Call-ID of the dialog.
    pub call_id: CompactString,
    /// The recipient's own tag.
    pub local_tag: CompactString,
    /// The sender's tag.
    pub remote_tag: CompactString,
}

const BAD: ParseError = ParseError::at(ParseErrorKind::Value, HeaderName::TargetDialog);

impl TargetDialog {
    /// Reads a header value: a Call-ID and exactly one tag of each kind.
    pub fn parse(value: &str) -> Result<TargetDialog, ParseError> {
        let value = value.trim();
        let (call_id, list) = value.split_at(value.find(';').ok_or(BAD)?);
        let call_id = call_id.trim();
        if call_id.is_empty() || !call_id.bytes().all(|o| (0x21..0x7f).contains(&o) && o != b',') {
            return Err(BAD);
        }
        let (mut local, mut remote) = (None, None);
        for (name, value) in params::owned(list).map_err(|_| BAD)? {
            let tag = if name.eq_ignore_ascii_case("local-tag") {
                &mut local
            } else if name.eq_ignore_ascii_case("remote-tag") {
                &mut remote
            } else {
                continue;
            };
            if tag.is_some() {
                return Err(BAD);
            }
            *tag = Some(value.ok_or(BAD)?);
        }
        match (local, remote) {
            (Some(local_tag), Some(remote_tag)) => Ok(TargetDialog {
                call_id: call_id.into(),
                local_tag,
                remote_tag,
            }),
            (Some(_), None) | (None, Some(_)) | (None, None) => Err(BAD),
        }
    }

    /// The header of a request; a second one is an error.
    pub fn of(message: &Message) -> Result<Option<TargetDialog>, ParseError> {
        let mut lines = message.headers(HeaderName::TargetDialog);
        let Some(value) = lines.next() else { return Ok(None) };
        if lines.next().is_some() {
            return Err(ParseError::at(ParseErrorKind::Duplicate, HeaderName::TargetDialog));
        }
        TargetDialog::parse(std::str::from_utf8(value).map_err(|_| BAD)?).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tags_are_needed_once() {
        let good = TargetDialog::parse("fa77@host ; local-tag=kkaz-; remote-tag=6544;x=1").unwrap();
        assert_eq!((good.call_id.as_str(), good.local_tag.as_str()), ("fa77@host", "kkaz-"));
        assert_eq!(good.remote_tag, "6544");
        for bad in [
            "a",
            "a;local-tag=b",
            "a;remote-tag=b",
            ";local-tag=b;remote-tag=c",
            "a;local-tag=b;local-tag=b;remote-tag=c",
        ] {
            assert!(TargetDialog::parse(bad).is_err(), "{bad}");
        }
    }
}
