//! The `name=value, …` list of challenges and credentials.

use super::super::chars::{is_lws, is_token, trim_text};
use super::super::error::{ParseError, ParseErrorKind};
use super::super::header_name::HeaderName;
use super::super::params::{comma_list, unquote};
use compact_str::CompactString;

/// The fields after `Digest`, quotes resolved. Another scheme, a broken list, or a field that stands twice is an
/// error: two readers of two nonces would not agree.
pub(super) struct Fields {
    list: Vec<(CompactString, CompactString)>,
    header: HeaderName,
}

impl Fields {
    pub(super) fn parse(value: &str, header: HeaderName) -> Result<Fields, ParseError> {
        let bad = ParseError::at(ParseErrorKind::Value, header);
        let value = trim_text(value);
        let (scheme, rest) = value.split_once([' ', '\t', '\r', '\n']).ok_or(bad)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(bad);
        }
        let mut list: Vec<(CompactString, CompactString)> = Vec::new();
        for field in comma_list(rest.as_bytes()) {
            let field = std::str::from_utf8(field).map_err(|_| bad)?;
            let (name, value) = field.split_once('=').ok_or(bad)?;
            let (name, value) = (trim_text(name), trim_text(value));
            let whole = match value.strip_prefix('"') {
                Some(rest) => rest.ends_with('"'),
                None => !value.bytes().any(|octet| is_lws(octet) || octet == b'"'),
            };
            if !is_token(name.as_bytes()) || !whole || list.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                return Err(bad);
            }
            list.push((name.into(), unquote(value)));
        }
        Ok(Fields { list, header })
    }

    pub(super) fn get(&self, name: &str) -> Option<&CompactString> {
        self.list
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(super) fn need(&self, name: &str) -> Result<CompactString, ParseError> {
        self.get(name).cloned().ok_or(self.bad())
    }

    pub(super) fn bad(&self) -> ParseError {
        ParseError::at(ParseErrorKind::Value, self.header)
    }
}

/// Text as a quoted string.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"")?;
        for part in self.0.split_inclusive(['"', '\\']) {
            match part.strip_suffix(['"', '\\']) {
                Some(before) => {
                    f.write_str(before)?;
                    f.write_str("\\")?;
                    f.write_str(part.get(before.len()..).unwrap_or_default())?;
                }
                None => f.write_str(part)?,
            }
        }
        f.write_str("\"")
    }
}
