//! `[[bot.channel]]`: which application's callers talk with which bot.

use std::fmt;
use std::time::Duration;

use super::fields::{Fields, Found};
use super::report::Problems;

/// All channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bot {
    /// In the order of the file.
    pub channels: Vec<BotChannel>,
}

/// One channel.
#[derive(Clone, PartialEq, Eq)]
pub struct BotChannel {
    /// The `[[application]]` whose callers it answers.
    pub application: String,
    /// Where each turn is posted to.
    pub url: String,
    /// Its name, as the bot is told it.
    pub name: String,
    /// The bot's name.
    pub bot_id: String,
    /// With what the bot asks for its channels; `None`: it does not.
    pub token: Option<String>,
    /// What the bot is told first.
    pub start: String,
    /// Of its texts, as RFC 5646 has it.
    pub language: String,
    /// Whether the bot is asked before the call is answered.
    pub ringing: bool,
    /// Whether the customer is recorded.
    pub record: bool,
    /// The prompt that a customer hears while a target rings; `None`: the hold music.
    pub music: Option<String>,
    /// Whom a customer gets when the bot does not answer; `None`: it is hung up.
    pub fallback: Option<String>,
    /// After the last key of a query.
    pub pause: Duration,
    /// How long the customer may say nothing before the bot is told; `None`: for ever.
    pub silence: Option<Duration>,
}

impl fmt::Debug for BotChannel {
    /// URLs carry tokens, and tokens never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotChannel")
            .field("application", &self.application)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

pub(super) fn bot(file: &mut Fields<'_>, problems: &mut Problems) -> Bot {
    let Some(mut fields) = file.table("bot", "[bot]", problems) else {
        return Bot::default();
    };
    let tables = fields.tables("channel", "[[bot.channel]]", problems);
    let channels = tables
        .into_iter()
        .filter_map(|table| channel(table, problems))
        .collect();
    fields.finish(problems);
    Bot { channels }
}

fn channel(mut fields: Fields<'_>, problems: &mut Problems) -> Option<BotChannel> {
    let owned = |found: Option<Found<&str>>| {
        found
            .map(|found| found.value.to_owned())
            .filter(|text| !text.is_empty())
    };
    let application = owned(fields.required("application", "\"robot\"", problems));
    let url = fields.required("url", "\"https://bot.example.test/turn\"", problems);
    let url = url.and_then(|given| {
        let rest = ["http://", "https://"]
            .iter()
            .find_map(|scheme| given.value.strip_prefix(scheme));
        let good = |rest: &str| {
            !rest.is_empty() && !rest.starts_with('/') && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if rest.is_some_and(good) {
            return Some(given.value.to_owned());
        }
        problems.add(
            given.span,
            "`url` is no URL",
            "write http:// or https://, a host and a path",
        );
        None
    });
    let name = owned(fields.text("name", problems));
    let bot_id = owned(fields.text("bot_id", problems));
    let token = fields.text("token", problems);
    if let Some(token) = &token
        && (token.value.len() < 8
            || !token
                .value
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet)))
    {
        let hint = "8 letters or digits at least: `openssl rand -hex 16`";
        problems.add(token.span.clone(), "`token` is no token", hint);
    }
    let start = owned(fields.text("start", problems));
    let language = owned(fields.text("language", problems));
    let ringing = fields.flag("ringing", problems).is_some_and(|found| found.value);
    let record = fields.flag("record", problems).is_some_and(|found| found.value);
    let music = owned(fields.text("music", problems));
    let fallback = owned(fields.text("fallback", problems));
    let pause = fields.number("digit_pause_ms", 200..=10_000, problems);
    let silence = fields.number("silence_s", 0..=600, problems);
    fields.finish(problems);
    let application = application?;
    Some(BotChannel {
        url: url?,
        name: name.unwrap_or_else(|| application.clone()),
        bot_id: bot_id.unwrap_or_else(|| application.clone()),
        application,
        token: owned(token),
        start: start.unwrap_or_else(|| "/start".to_owned()),
        language: language.unwrap_or_else(|| "en".to_owned()),
        ringing,
        record,
        music,
        fallback,
        pause: Duration::from_millis(pause.unwrap_or(1_500)),
        silence: match silence.unwrap_or(10) {
            0 => None,
            seconds => Some(Duration::from_secs(seconds)),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const EDGE: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n";

    fn read(text: &str) -> Result<Bot, String> {
        let config = Config::read("edge.toml", &format!("{EDGE}{text}"));
        config.map(|config| config.bot).map_err(|report| report.to_string())
    }

    #[test]
    fn a_channel_needs_an_application_and_a_url() {
        let bot = read("[[bot.channel]]\napplication = \"robot\"\nurl = \"http://127.0.0.1:5000/turn\"\n").unwrap();
        let [channel] = &bot.channels[..] else {
            panic!("one channel")
        };
        assert_eq!((channel.name.as_str(), channel.start.as_str()), ("robot", "/start"));
        assert_eq!(
            (channel.pause.as_millis(), channel.silence),
            (1_500, Some(Duration::from_secs(10)))
        );
        assert_eq!(read("").unwrap(), Bot::default());
        for (text, wanted) in [
            ("application = \"robot\"\n", "needs `url`"),
            ("url = \"http://x/\"\n", "needs `application`"),
            ("application = \"robot\"\nurl = \"ftp://x/\"\n", "no URL"),
            (
                "application = \"robot\"\nurl = \"http://x/\"\ntoken = \"a b\"\n",
                "no token",
            ),
            ("application = \"robot\"\nurl = \"http://x/\"\nurll = \"\"\n", "url"),
        ] {
            let told = read(&format!("[[bot.channel]]\n{text}")).unwrap_err();
            assert!(told.contains(wanted), "{text}: {told}");
        }
    }

    #[test]
    fn neither_url_nor_token_reaches_a_log() {
        let bot =
            read("[[bot.channel]]\napplication = \"robot\"\nurl = \"http://u:geheim@x/\"\ntoken = \"geheimgeheim\"\n");
        assert!(!format!("{:?}", bot.unwrap()).contains("geheim"));
    }
}
