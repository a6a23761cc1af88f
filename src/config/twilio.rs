//! `[twilio]`: the account of the Twilio-style API, and where its numbers ask what to do.

use std::fmt;

use super::fields::{Fields, Found};
use super::report::Problems;
use crate::registrar::TokenKeys;

/// The section, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Twilio {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// The account's password; signs what is sent to applications.
    pub auth_token: String,
    /// API keys with their secrets: `SK` and 32 hexadecimal digits.
    pub keys: Vec<(String, String)>,
    /// How clients reach this API, without a `/` at its end; `None`: as the API listens.
    pub base_url: Option<String>,
    /// What is asked for a call.
    pub numbers: Vec<TwilioNumber>,
}

impl fmt::Debug for Twilio {
    /// Secrets never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twilio")
            .field("account_sid", &self.account_sid)
            .field("numbers", &self.numbers)
            .finish_non_exhaustive()
    }
}

impl Twilio {
    /// Whose signature makes an access token.
    pub(super) fn token_keys(&self) -> TokenKeys {
        TokenKeys {
            account: self.account_sid.clone(),
            keys: self.keys.clone(),
        }
    }
}

/// A number, or an application without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwilioNumber {
    /// The `[[application]]` that its calls come for.
    pub application: String,
    /// Only calls to it; `None`: every call of that application.
    pub phone_number: Option<String>,
    /// `AP` and 32 hexadecimal digits: its name as a TwiML application.
    pub app_sid: Option<String>,
    /// Who says what to do with a call.
    pub voice: Hook,
    /// Who says it when the first cannot.
    pub fallback: Option<Hook>,
    /// Who is told when a call has ended.
    pub status_callback: Option<Hook>,
}

/// A URL, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// http or https.
    pub url: String,
    /// GET instead of POST.
    pub get: bool,
}

pub(super) fn twilio(file: &mut Fields<'_>, problems: &mut Problems) -> Option<Twilio> {
    let mut fields = file.table("twilio", "[twilio]", problems)?;
    let account = fields.required("account_sid", "\"AC…\"", problems);
    let account = account.and_then(|account| sid("account_sid", "AC", &account, problems));
    let token = fields.required("auth_token", "\"…\"", problems);
    if let Some(token) = &token
        && token.value.len() < 16
    {
        let hint = "32 random hexadecimal digits: `openssl rand -hex 16`";
        problems.add(token.span.clone(), "`auth_token` is too short", hint);
    }
    let base_url = fields
        .text("base_url", problems)
        .and_then(|given| url("base_url", &given, problems));
    let mut keys = Vec::new();
    for mut key in fields.tables("key", "[[twilio.key]]", problems) {
        let name = key.required("sid", "\"SK…\"", problems);
        let name = name.and_then(|name| sid("sid", "SK", &name, problems));
        let secret = key.required("secret", "\"…\"", problems);
        keys.extend(name.zip(secret.map(|secret| secret.value.to_owned())));
        key.finish(problems);
    }
    let tables = fields.tables("number", "[[twilio.number]]", problems);
    let numbers = tables.into_iter().filter_map(|table| number(table, problems)).collect();
    fields.finish(problems);
    Some(Twilio {
        account_sid: account?,
        auth_token: token?.value.to_owned(),
        keys,
        base_url: base_url.map(|url| url.trim_end_matches('/').to_owned()),
        numbers,
    })
}

fn number(mut fields: Fields<'_>, problems: &mut Problems) -> Option<TwilioNumber> {
    let application = fields.required("application", "\"sales\"", problems);
    let phone_number = fields
        .text("phone_number", problems)
        .map(|number| number.value.to_owned());
    let app_sid = fields.text("app_sid", problems);
    let app_sid = app_sid.and_then(|given| sid("app_sid", "AP", &given, problems));
    fields.required("voice_url", "\"https://app.example.test/voice\"", problems);
    let voice = hook(&mut fields, "voice_url", "voice_method", problems);
    let fallback = hook(&mut fields, "fallback_url", "fallback_method", problems);
    let status_callback = hook(&mut fields, "status_callback", "status_callback_method", problems);
    fields.finish(problems);
    Some(TwilioNumber {
        application: application?.value.to_owned(),
        phone_number,
        app_sid,
        voice: voice?,
        fallback,
        status_callback,
    })
}

fn hook(fields: &mut Fields<'_>, key: &'static str, method: &'static str, problems: &mut Problems) -> Option<Hook> {
    let given = fields.text(key, problems);
    let get = fields.choice(method, &[("GET", Ok(true)), ("POST", Ok(false))], problems);
    let url = given.and_then(|given| url(key, &given, problems))?;
    Some(Hook {
        url,
        get: get.unwrap_or(false),
    })
}

fn url(key: &str, given: &Found<&str>, problems: &mut Problems) -> Option<String> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| given.value.strip_prefix(scheme));
    let good = |rest: &str| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace);
    if rest.is_some_and(good) {
        return Some(given.value.to_owned());
    }
    let what = format!("`{key}` is no URL");
    problems.add(given.span.clone(), what, "write http:// or https://, a host and a path");
    None
}

fn sid(key: &str, kind: &str, given: &Found<&str>, problems: &mut Problems) -> Option<String> {
    let digits = given.value.strip_prefix(kind);
    let good = |digits: &str| {
        digits.len() == 32
            && digits
                .bytes()
                .all(|octet| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet))
    };
    if digits.is_some_and(good) {
        return Some(given.value.to_owned());
    }
    let what = format!("`{key}` is no identifier of this kind");
    let hint = format!("{kind} and 32 hexadecimal digits: `echo {kind}$(openssl rand -hex 16)`");
    problems.add(given.span.clone(), what, hint);
    None
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const BASE: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n";
    const GOOD: &str = "[twilio]\naccount_sid = \"AC00000000000000000000000000000001\"\n\
        auth_token = \"0123456789abcdef\"\nbase_url = \"https://edge.test/\"\n\
        [[twilio.key]]\nsid = \"SK00000000000000000000000000000001\"\nsecret = \"hush\"\n\
        [[twilio.number]]\napplication = \"sales\"\nphone_number = \"+15550001\"\nvoice_url = \"http://127.0.0.1:5000/v\"\n\
        voice_method = \"GET\"\nfallback_url = \"http://127.0.0.1:5001/\"\n";

    #[test]
    fn an_account_is_read_and_its_secrets_stay_hidden() {
        let config = Config::read("x.toml", &format!("{BASE}{GOOD}")).unwrap();
        let twilio = config.twilio.clone().unwrap();
        assert_eq!(twilio.base_url.as_deref(), Some("https://edge.test"));
        assert_eq!(twilio.keys.len(), 1);
        let number = &twilio.numbers[0];
        assert!(number.voice.get && !number.fallback.as_ref().unwrap().get);
        let shown = format!("{config:?}");
        assert!(shown.contains("+15550001") && !shown.contains("hush") && !shown.contains("0123456789abcdef"));
        assert!(Config::read("x.toml", BASE).unwrap().twilio.is_none());
    }

    #[test]
    fn mistakes_are_named() {
        for (good, bad, told) in [
            ("AC0", "ac0", "`account_sid` is no identifier"),
            ("0123456789abcdef", "short", "`auth_token` is too short"),
            ("https://edge", "edge", "`base_url` is no URL"),
            ("voice_url = \"http://127.0.0.1:5000/v\"\n", "", "needs `voice_url`"),
            ("SK0", "SKx", "`sid` is no identifier"),
        ] {
            let text = format!("{BASE}{}", GOOD.replacen(good, bad, 1));
            let report = Config::read("x.toml", &text).unwrap_err().to_string();
            assert!(report.contains(told), "{report}");
        }
    }
}
