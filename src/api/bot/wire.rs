//! What is said to a bot and what it answers, as JSON.
//!
//! A bot's answer is read with suspicion: what is no reply is passed over and told, and never stops those behind it.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::api::native::body::{DEPTH, depth};

/// Replies of one answer; further ones are left out.
pub(super) const MOST_REPLIES: usize = 64;
/// Characters of one text.
const LONGEST_TEXT: usize = 4_096;
/// Octets of a number, an address, a channel.
const LONGEST_WORD: usize = 512;
/// Seconds that a target may ring.
const RINGS: std::ops::RangeInclusive<u64> = 1..=600;

/// What a turn brings to the bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// What the customer says: keys.
    Query(String),
    /// What happens.
    Event(&'static str),
    /// How a transfer went.
    Transfer(TransferStatus),
}

/// How a transfer went, as a bot is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct TransferStatus {
    /// `SUCCESS` or `FAIL`.
    pub(super) status: &'static str,
    /// The customer ended the call.
    pub(super) hangup: bool,
    /// Whom it was to go to.
    pub(super) number: String,
}

/// Who talks with whom: the same in every turn of a call.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) bot_id: String,
    pub(super) channel: String,
    /// The customer's number.
    pub(super) caller: String,
    /// What it dialled.
    pub(super) extension: String,
    /// Headers of its INVITE that SIP itself does not know.
    pub(super) headers: Vec<(String, String)>,
}

impl Who {
    /// The body of one turn. `number` counts the turns of the call, `call` names it.
    pub(super) fn request(&self, turn: &Turn, call: &str, number: u32, at: &str) -> Value {
        let headers: Map<String, Value> = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let mut raw = json!({
            "caller": self.caller,
            "extension": self.extension,
            "originateData": { "payload": {} },
            "headers": headers,
        });
        let (key, said) = match turn {
            Turn::Query(text) => ("query", text.as_str()),
            Turn::Event(name) => ("event", *name),
            Turn::Transfer(status) => {
                raw["transferStatus"] = json!(status);
                ("event", "transfer")
            }
        };
        let mut body = json!({
            "data": {},
            "version": 1,
            "botId": self.bot_id,
            "channelType": "resterisk",
            "channelBotId": self.channel,
            "channelUserId": self.caller,
            "questionId": format!("{call}-{number}"),
            "timestamp": at,
            "rawRequest": raw,
            "userFrom": { "id": self.caller },
        });
        body[key] = json!(said);
        body
    }
}

/// One reply of a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// To be spoken.
    Text(String),
    /// To be played.
    Audio(String),
    /// The call is over.
    Hangup,
    /// The customer is to talk with somebody else.
    Switch(Box<Switch>),
}

/// To whom the customer is to be handed, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Switch {
    pub(super) target: Target,
    pub(super) timeout: Option<Duration>,
    pub(super) headers: Vec<(String, String)>,
    /// A `[[peer]]`.
    pub(super) channel: Option<String>,
    pub(super) continue_call: bool,
    pub(super) continue_recording: bool,
    pub(super) method: Method,
}

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Digits, perhaps with `+`, `*`, `#`.
    Number(String),
    /// An address as the bot wrote it.
    Address(String),
}

/// How the customer gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// The edge calls the target and joins the two.
    Invite,
    /// The customer is sent there by REFER, and the edge drops out.
    Refer,
}

/// What an answer says, and what in it could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) replies: Vec<Reply>,
    pub(super) passed_over: Vec<String>,
}

/// Reads an answer.
///
/// # Errors
/// In words, when it is no JSON object at all. One without replies is an answer without replies.
pub(super) fn answer(octets: &[u8]) -> Result<Answer, String> {
    if depth(octets) > DEPTH {
        return Err(format!("nested deeper than {DEPTH} levels"));
    }
    let body: Value = serde_json::from_slice(octets).map_err(|error| format!("no JSON: {error}"))?;
    if !body.is_object() {
        return Err("no JSON object".to_owned());
    }
    let mut answer = Answer::default();
    let Some(replies) = body["data"]["replies"].as_array() else {
        return Ok(answer);
    };
    for (at, given) in replies.iter().enumerate() {
        if at >= MOST_REPLIES {
            let more = replies.len() - at;
            answer
                .passed_over
                .push(format!("{more} replies more than {MOST_REPLIES}"));
            break;
        }
        match reply(given) {
            Ok(reply) => answer.replies.push(reply),
            Err(why) => answer.passed_over.push(format!("reply {}: {why}", at + 1)),
        }
    }
    Ok(answer)
}

fn reply(given: &Value) -> Result<Reply, String> {
    let kind = given["type"].as_str().unwrap_or_default();
    match kind {
        "text" => {
            let text: String = given["text"]
                .as_str()
                .unwrap_or_default()
                .chars()
                .take(LONGEST_TEXT)
                .collect();
            let spoken = given["tts"].as_str().filter(|tts| !tts.is_empty());
            let text = spoken.map_or(text, |tts| tts.chars().take(LONGEST_TEXT).collect());
            if text.trim().is_empty() {
                return Err("`text` is empty".to_owned());
            }
            Ok(Reply::Text(text))
        }
        "audio" => word(given, "audioUrl")?
            .map(Reply::Audio)
            .ok_or_else(|| "there is no `audioUrl`".to_owned()),
        "hangup" => Ok(Reply::Hangup),
        "switch" => Ok(Reply::Switch(Box::new(switch(given)?))),
        "buttons" => Err("`buttons` cannot be pressed in a call".to_owned()),
        other => Err(format!("`{}` is no type of a reply to a call", shown(other))),
    }
}

fn switch(given: &Value) -> Result<Switch, String> {
    let target = match (word(given, "phoneNumber")?, word(given, "sipUri")?) {
        (Some(number), None) => Target::Number(number_of(&number)?),
        (None, Some(address)) => Target::Address(address),
        (Some(_), Some(_)) => return Err("`phoneNumber` and `sipUri` exclude each other".to_owned()),
        (None, None) => return Err("neither `phoneNumber` nor `sipUri` says where to".to_owned()),
    };
    let method = match given["method"].as_str().map(str::to_ascii_lowercase).as_deref() {
        None | Some("invite") => Method::Invite,
        Some("refer") => Method::Refer,
        Some(other) => return Err(format!("`method` {} is neither invite nor refer", shown(other))),
    };
    // Frameworks of different age write either.
    let channel = match word(given, "transferChannel")? {
        Some(channel) => Some(channel),
        None => word(given, "transferCall")?,
    };
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let headers = match &given["headers"] {
        Value::Null => Vec::new(),
        Value::Object(map) => {
            let pair = |(name, value): (&String, &Value)| {
                let value = plain(value).ok_or_else(|| format!("header `{}` is no text", shown(name)))?;
                Ok((name.clone(), value))
            };
            map.iter().map(pair).collect::<Result<_, String>>()?
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err("`headers` is no object".to_owned());
        }
    };
    Ok(Switch {
        target,
        timeout: timeout(&given["timeout"])?,
        headers,
        channel,
        continue_call: flag(&given["continueCall"]),
        continue_recording: flag(&given["continueRecording"]),
        method,
    })
}

/// Seconds, as a text or a number.
fn timeout(given: &Value) -> Result<Option<Duration>, String> {
    let seconds = match given {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().parse::<f64>().ok(),
        Value::Number(number) => number.as_f64(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let whole = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a float that is too large becomes the largest whole number"
    )]
    let whole = whole.map(|seconds| seconds.ceil() as u64);
    let whole = whole.ok_or_else(|| "`timeout` is no number of seconds".to_owned())?;
    Ok(Some(Duration::from_secs(whole.clamp(*RINGS.start(), *RINGS.end()))))
}

fn flag(given: &Value) -> bool {
    given
        .as_bool()
        .unwrap_or_else(|| given.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true")))
}

/// A text that is neither empty nor endless; numbers are taken as they are written.
fn word(given: &Value, field: &str) -> Result<Option<String>, String> {
    let text = match &given[field] {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(format!("`{field}` is no text")),
    };
    if text.len() > LONGEST_WORD || text.chars().any(char::is_control) {
        return Err(format!(
            "`{field}` has control characters, or more than {LONGEST_WORD} octets"
        ));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// A number without what people write between its digits.
fn number_of(given: &str) -> Result<String, String> {
    let number: String = given
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.' | '/'))
        .collect();
    let good = |c: char| c.is_ascii_digit() || matches!(c, '+' | '*' | '#') || c.is_ascii_alphanumeric() || c == '_';
    if number.is_empty() || !number.chars().all(good) {
        return Err(format!("`phoneNumber` {} is no number", shown(given)));
    }
    Ok(number)
}

fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
