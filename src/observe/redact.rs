//! Keeps numbers and names of people out of logs.

use std::fmt;

/// Shows a URI or an address of record without its user part: only the last two characters of a longer one remain, so
/// that an operator can tell two calls apart. Schemes, hosts and ports stay; URI parameters and headers go.
///
/// A text without a host is treated as a user part as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Redact<T>(pub T);

impl<T: AsRef<str>> fmt::Display for Redact<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.as_ref();
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if matches!(scheme, "sip" | "sips" | "tel") => (Some(scheme), rest),
            Some(_) | None => (None, text),
        };
        if let Some(scheme) = scheme {
            write!(f, "{scheme}:")?;
        }
        let end = |host: &str| host.find([';', '?', '>']).unwrap_or(host.len());
        match rest.rsplit_once('@') {
            Some((user, host)) => {
                hide(user, f)?;
                write!(f, "@{}", host.get(..end(host)).unwrap_or_default())
            }
            // `sip:host` names no person; a `tel:` URI or a bare number does.
            None if scheme.is_some_and(|scheme| scheme != "tel") => {
                f.write_str(rest.get(..end(rest)).unwrap_or_default())
            }
            None => hide(rest, f),
        }
    }
}

fn hide(user: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let user = user.split([';', ':']).next().unwrap_or_default();
    let letters = user.chars().count();
    if letters < 4 {
        return f.write_str("***");
    }
    f.write_str("***")?;
    user.chars()
        .skip(letters - 2)
        .try_for_each(|letter| write!(f, "{letter}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_hidden_and_places_are_not() {
        let shown = |text: &str| Redact(text).to_string();
        assert_eq!(
            shown("sip:+4930123456@example.test:5070;user=phone"),
            "sip:***56@example.test:5070"
        );
        assert_eq!(
            shown("sips:bob:secret@example.test?Replaces=x"),
            "sips:***@example.test"
        );
        assert_eq!(shown("sip:alice;par=1@example.test"), "sip:***ce@example.test");
        assert_eq!(shown("sip:example.test;lr"), "sip:example.test");
        assert_eq!(shown("tel:+4930123456;phone-context=x"), "tel:***56");
        assert_eq!(shown("+4930123456"), "***56");
        assert_eq!(shown("äöüß@x"), "***üß@x");
        assert_eq!(shown(""), "***");
    }
}
