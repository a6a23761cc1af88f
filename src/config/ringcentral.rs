//! `[ringcentral]`: who may use the RingCentral-style API, and which users are which extensions.

use std::fmt;

use super::User;
use super::fields::{Fields, Found};
use super::report::Problems;

/// A word that stays out of logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The section, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingCentral {
    /// Of the one application.
    pub client_id: String,
    /// Its password at the token endpoint.
    pub client_secret: Secret,
    /// The account's id: digits.
    pub account: String,
    /// What clients reach the API by; default: where it listens.
    pub url: Option<String>,
    /// For one extension; more are answered 429.
    pub requests_per_minute: u32,
    /// At least one.
    pub extensions: Vec<RingCentralExtension>,
}

/// A user who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingCentralExtension {
    /// The user part of its SIP address.
    pub user: String,
    /// The vendor's id: digits.
    pub id: String,
    /// What others dial: digits.
    pub number: String,
    /// What is shown.
    pub name: String,
    /// Whether it may see, control and supervise the calls of others.
    pub admin: bool,
    /// Numbers of its other phones, for call flip.
    pub flip: Vec<String>,
    /// For the password grant.
    pub password: Option<Secret>,
    /// The assertion of the JWT grant: any long word.
    pub jwt: Option<Secret>,
}

/// An assertion is all that its bearer needs.
const SHORTEST_JWT: usize = 16;

pub(super) fn ringcentral(file: &mut Fields<'_>, users: &[User], problems: &mut Problems) -> Option<RingCentral> {
    let mut fields = file.table("ringcentral", "[ringcentral]", problems)?;
    let client_id = fields.required("client_id", "\"my-app\"", problems);
    let client_secret = fields.required("client_secret", "\"…\"", problems);
    let account = fields.text("account", problems);
    let account = account.and_then(|account| digits("account", &account, problems));
    let url = fields.text("url", problems).and_then(|url| base(&url, problems));
    let rate = fields.number("requests_per_minute", 1..=10_000_000, problems);
    let mut extensions: Vec<RingCentralExtension> = Vec::new();
    for table in fields.tables("extension", "[[ringcentral.extension]]", problems) {
        let place = extensions.len();
        let span = table.span.clone();
        if let Some(extension) = extension(table, users, place, problems) {
            let twin = |other: &RingCentralExtension| {
                other.user == extension.user || other.id == extension.id || other.number == extension.number
            };
            if extensions.iter().any(twin) {
                let what = format!("a second extension with the user, id or number of `{}`", extension.user);
                problems.add(span, what, "give each its own");
            } else {
                extensions.push(extension);
            }
        }
    }
    if !fields.has("extension") {
        let hint = "add [[ringcentral.extension]] with user = \"agent1\", number = \"101\" and jwt or password";
        problems.add(fields.span.clone(), "[ringcentral] has nobody who could log in", hint);
    }
    fields.finish(problems);
    Some(RingCentral {
        client_id: client_id?.value.to_owned(),
        client_secret: Secret(client_secret?.value.to_owned()),
        account: account.unwrap_or_else(|| "400100200".to_owned()),
        url,
        requests_per_minute: rate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(60_000),
        extensions,
    })
}

fn extension(
    mut fields: Fields<'_>,
    users: &[User],
    place: usize,
    problems: &mut Problems,
) -> Option<RingCentralExtension> {
    let user = fields.required("user", "\"agent1\"", problems);
    if let Some(user) = &user
        && !users.is_empty()
        && !users.iter().any(|known| known.name == user.value)
    {
        let what = format!("there is no [[user]] `{}`", user.value.escape_debug());
        problems.add(user.span.clone(), what, "name one whose phone registers here");
    }
    let number = fields.required("number", "\"101\"", problems);
    let number = number.and_then(|number| digits("number", &number, problems));
    let id = fields.text("id", problems).and_then(|id| digits("id", &id, problems));
    let name = fields.text("name", problems).map(|name| name.value.to_owned());
    let admin = fields.flag("admin", problems).is_some_and(|admin| admin.value);
    let flip = fields.texts("flip", problems);
    let flip = flip.iter().map(|number| number.value.to_owned()).collect();
    let password = fields
        .text("password", problems)
        .map(|password| Secret(password.value.to_owned()));
    let jwt = fields.text("jwt", problems);
    if let Some(jwt) = jwt.as_ref().filter(|jwt| jwt.value.len() < SHORTEST_JWT) {
        let hint = "take one from `openssl rand -hex 16`: whoever has it is this extension";
        problems.add(jwt.span.clone(), "`jwt` is too short", hint);
    }
    fields.finish(problems);
    let user = user?.value.to_owned();
    Some(RingCentralExtension {
        id: id.unwrap_or_else(|| format!("{}", 600_001 + place)),
        number: number?,
        name: name.unwrap_or_else(|| user.clone()),
        admin,
        flip,
        password,
        jwt: jwt.map(|jwt| Secret(jwt.value.to_owned())),
        user,
    })
}

fn digits(key: &'static str, given: &Found<&str>, problems: &mut Problems) -> Option<String> {
    let good = (1..=18).contains(&given.value.len()) && given.value.bytes().all(|octet| octet.is_ascii_digit());
    if !good {
        problems.add(
            given.span.clone(),
            format!("`{key}` is no number of digits"),
            "write it in quotes: \"101\"",
        );
    }
    good.then(|| given.value.to_owned())
}

fn base(given: &Found<&str>, problems: &mut Problems) -> Option<String> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| given.value.strip_prefix(scheme));
    let good = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]".contains(c);
    if rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(good)) {
        return Some(given.value.trim_end_matches('/').to_owned());
    }
    problems.add(
        given.span.clone(),
        "`url` is no base URL",
        "as in \"https://edge.example.test\"",
    );
    None
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const BASE: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[[user]]\nname = \"agent1\"\npassword = \"x\"\n";

    fn read(more: &str) -> Result<Config, String> {
        Config::read("x.toml", &format!("{BASE}{more}")).map_err(|report| report.to_string())
    }

    #[test]
    fn a_section_is_read_and_its_secrets_are_not_printed() {
        let config = read(
            "[ringcentral]\nclient_id = \"app\"\nclient_secret = \"hush-hush\"\nurl = \"https://e.test/\"\n\
             [[ringcentral.extension]]\nuser = \"agent1\"\nnumber = \"101\"\njwt = \"a-very-long-word-indeed\"\nadmin = true\n",
        );
        let section = config.unwrap().ringcentral.unwrap();
        assert_eq!(section.url.as_deref(), Some("https://e.test"));
        let extension = section.extensions.first().unwrap();
        assert_eq!(
            (extension.id.as_str(), extension.name.as_str(), extension.admin),
            ("600001", "agent1", true)
        );
        let printed = format!("{section:?}");
        assert!(!printed.contains("hush") && !printed.contains("very-long"), "{printed}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let report = read(
            "[ringcentral]\nclient_id = \"app\"\nurl = \"ftp://x\"\n\
             [[ringcentral.extension]]\nuser = \"nobody\"\nnumber = \"ten\"\njwt = \"short\"\n",
        )
        .unwrap_err();
        for what in [
            "needs `client_secret`",
            "`url` is no base URL",
            "there is no [[user]] `nobody`",
            "`number` is no number of digits",
            "`jwt` is too short",
        ] {
            assert!(report.contains(what), "{what}: {report}");
        }
        assert!(
            read("[ringcentral]\nclient_id = \"a\"\nclient_secret = \"b\"\n")
                .unwrap_err()
                .contains("nobody who could log in")
        );
    }
}
