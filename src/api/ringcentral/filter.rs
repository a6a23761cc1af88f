//! What a subscription asks for: `eventFilters`, and which notices pass them.

use axum::http::Uri;

use super::notice::Notice;
use super::people::Directory;

/// Whose events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Account,
    /// By its id.
    Extension(String),
}

/// One filter, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    /// As it was given, with the ids in the place of `~`.
    pub(super) text: String,
    pub(super) scope: Scope,
    pub(super) sip_data: bool,
    direction: Option<String>,
    missed: Option<bool>,
    recorded: Option<bool>,
    number: Option<String>,
    codes: Vec<String>,
}

/// Why a filter is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// No path, or values that mean nothing.
    Malformed,
    /// Events that this edge does not have.
    Unknown,
    /// Of somebody else.
    Foreign,
}

const VERSION: &str = "/restapi/v1.0";
const SUBJECT: &str = "/telephony/sessions";

impl Filter {
    /// Reads a filter of somebody who is extension `own`.
    pub(super) fn parse(text: &str, own: &str, directory: &Directory) -> Result<Filter, Unusable> {
        if text.len() > 1_000 || !text.starts_with('/') {
            return Err(Unusable::Malformed);
        }
        let uri: Uri = text.parse().map_err(|_| Unusable::Malformed)?;
        let path = uri.path().strip_prefix(VERSION).unwrap_or(uri.path());
        let place = path.strip_suffix(SUBJECT).ok_or(Unusable::Unknown)?;
        let (account, extension) = match place
            .strip_prefix("/account/")
            .map(|rest| rest.split_once("/extension/"))
        {
            Some(Some((account, extension))) => (account, Some(extension)),
            Some(None) => (place.trim_start_matches("/account/"), None),
            None => return Err(Unusable::Unknown),
        };
        if account != "~" && account != directory.account {
            return Err(Unusable::Foreign);
        }
        let scope = match extension {
            None => Scope::Account,
            Some("~") => Scope::Extension(own.to_owned()),
            Some(id) if directory.by_id(id).is_some() => Scope::Extension(id.to_owned()),
            Some(id) if id.contains('/') => return Err(Unusable::Unknown),
            Some(_) => return Err(Unusable::Foreign),
        };
        let whose = match &scope {
            Scope::Account => format!("{VERSION}/account/{}{SUBJECT}", directory.account),
            Scope::Extension(id) => format!("{VERSION}/account/{}/extension/{id}{SUBJECT}", directory.account),
        };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let filter = Filter {
            text: format!("{whose}{query}"),
            scope,
            sip_data: false,
            direction: None,
            missed: None,
            recorded: None,
            number: None,
            codes: Vec::new(),
        };
        filter.narrowed(uri.query().unwrap_or_default())
    }

    fn narrowed(mut self, query: &str) -> Result<Filter, Unusable> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
            let value = unescaped(value).ok_or(Unusable::Malformed)?;
            let flag = || match value.to_ascii_lowercase().as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(Unusable::Malformed),
            };
            match name {
                "direction" if value.eq_ignore_ascii_case("inbound") || value.eq_ignore_ascii_case("outbound") => {
                    self.direction = Some(value);
                }
                "missedCall" => self.missed = Some(flag()?),
                "withRecordings" => self.recorded = Some(flag()?),
                "sipData" => self.sip_data = flag()?,
                "phoneNumber" => self.number = Some(value),
                "statusCode" => self.codes.extend(value.split(',').map(str::to_owned)),
                _ => return Err(Unusable::Malformed),
            }
        }
        Ok(self)
    }

    /// Whether this notice is one that was asked for.
    pub(super) fn passes(&self, notice: &Notice) -> bool {
        let facts = &notice.facts;
        let scope = match &self.scope {
            Scope::Account => true,
            Scope::Extension(id) => notice.extension.as_ref() == Some(id),
        };
        let direction = |wanted: &String| wanted.eq_ignore_ascii_case(facts.direction.text());
        let number = |wanted: &String| facts.numbers.iter().any(|number| same_number(number, wanted));
        let code = |wanted: &String| wanted.eq_ignore_ascii_case(facts.code.text());
        scope
            && self.direction.as_ref().is_none_or(direction)
            && self.missed.is_none_or(|wanted| wanted == facts.missed)
            && self.recorded.is_none_or(|wanted| wanted == facts.recorded)
            && self.number.as_ref().is_none_or(number)
            && (self.codes.is_empty() || self.codes.iter().any(code))
    }
}

fn same_number(one: &str, other: &str) -> bool {
    one.trim_start_matches('+') == other.trim_start_matches('+')
}

/// Percent-decoding of a query's value; `None`: it is broken, or no text.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ringcentral::notice::Facts;
    use crate::api::ringcentral::people::directory;
    use crate::api::ringcentral::words::{Code, Direction, Origin};

    fn notice(extension: Option<&str>) -> Notice {
        Notice {
            at: std::time::SystemTime::UNIX_EPOCH,
            session: "s-1".to_owned(),
            number: "1".to_owned(),
            origin: Origin::Call,
            sequence: 2,
            party: serde_json::json!({}),
            extension: extension.map(str::to_owned),
            facts: Facts {
                direction: Direction::Inbound,
                missed: false,
                code: Code::Proceeding,
                numbers: ["+15551".to_owned(), "101".to_owned()],
                recorded: false,
                dialog: None,
            },
        }
    }

    fn passes(filter: &str, extension: Option<&str>) -> bool {
        Filter::parse(filter, "1001", &directory())
            .unwrap()
            .passes(&notice(extension))
    }

    #[test]
    fn an_extension_is_told_of_its_own_parties_only() {
        let own = "/restapi/v1.0/account/~/extension/~/telephony/sessions";
        assert!(passes(own, Some("1001")));
        assert!(!passes(own, Some("1002")));
        assert!(!passes(own, None));
        let all = "/account/400100/telephony/sessions";
        assert!(passes(all, Some("1002")) && passes(all, None));
    }

    #[test]
    fn every_parameter_narrows() {
        let base = "/restapi/v1.0/account/~/telephony/sessions";
        for (query, good) in [
            ("direction=Inbound", true),
            ("direction=outbound", false),
            ("missedCall=true", false),
            ("missedCall=false", true),
            ("phoneNumber=15551", true),
            ("phoneNumber=%2B15551", true),
            ("phoneNumber=15552", false),
            ("statusCode=proceeding", true),
            ("statusCode=Answered,Proceeding", true),
            ("statusCode=Answered&statusCode=Hold", false),
            ("withRecordings=true", false),
            ("sipData=true", true),
            ("direction=Inbound&statusCode=Setup", false),
        ] {
            assert_eq!(passes(&format!("{base}?{query}"), None), good, "{query}");
        }
    }

    #[test]
    fn what_is_no_filter_is_said_to_be_none() {
        let parse = |text: &str| Filter::parse(text, "1001", &directory()).unwrap_err();
        for text in [
            "",
            "telephony",
            "/account/~/telephony/sessions?direction=up",
            "/account/~/telephony/sessions?x=1",
        ] {
            assert_eq!(parse(text), Unusable::Malformed, "{text}");
        }
        assert_eq!(parse("/restapi/v1.0/account/~/extension/~/presence"), Unusable::Unknown);
        assert_eq!(parse("/account/77/telephony/sessions"), Unusable::Foreign);
        assert_eq!(parse("/account/~/extension/77/telephony/sessions"), Unusable::Foreign);
        assert_eq!(
            parse("/account/~/telephony/sessions?phoneNumber=%zz"),
            Unusable::Malformed
        );
    }
}
