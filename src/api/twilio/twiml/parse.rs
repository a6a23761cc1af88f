//! From a document to verbs.

use std::str::FromStr;
use std::time::Duration;

use axum::http::Method;
use roxmltree::{Document, Node, ParsingOptions};

use super::{
    Callback, ConferenceNoun, Dial, DialTo, Enqueue, Gather, Noun, Play, QueueNoun, Record, Say, Target, Verb, Wait,
};

/// Of a document, in octets.
const LONGEST: usize = 64 * 1024;
/// Of a document's nodes, texts among them.
const NODES: u32 = 2_000;
/// Of elements within elements: the deepest that means something is `Response/Dial/Number`.
const DEPTH: usize = 16;
/// Parties that are called at the same time.
const PARTIES: usize = 10;

/// Why a document is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::api::twilio) struct Bad(String);

/// Reads a document.
pub(in crate::api::twilio) fn parse(text: &str) -> Result<Vec<Verb>, Bad> {
    if text.len() > LONGEST {
        return Err(Bad(format!("the document is longer than {LONGEST} octets")));
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if depth(text) > DEPTH {
        return Err(Bad(format!("elements lie deeper than {DEPTH} in each other")));
    }
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).map_err(|error| Bad(error.to_string()))?;
    let root = document.root_element();
    if root.tag_name().name() != "Response" {
        return Err(Bad(format!(
            "the document begins with <{}>, not with <Response>",
            root.tag_name().name()
        )));
    }
    root.children().filter(Node::is_element).map(verb).collect()
}

/// Never less than how deep elements lie in each other: what looks like a tag counts as one.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for (at, _) in text.match_indices('<') {
        let rest = text.get(at + 1..).unwrap_or_default();
        match rest.bytes().next() {
            Some(b'/') => now = now.saturating_sub(1),
            Some(b'!' | b'?') => {}
            _ => {
                let end = rest.find('>').unwrap_or(0);
                let closed = rest.get(..end).is_some_and(|tag| tag.ends_with('/'));
                most = most.max(now + 1);
                now += usize::from(!closed);
            }
        }
    }
    most
}

type Element<'a, 'b> = Node<'a, 'b>;

fn text(node: Element<'_, '_>) -> String {
    let texts = node.descendants().filter(Node::is_text).filter_map(|node| node.text());
    texts.collect::<String>().trim().to_owned()
}

/// An attribute that is not empty.
fn attribute<'a>(node: Element<'a, '_>, name: &str) -> Option<&'a str> {
    node.attribute(name).map(str::trim).filter(|value| !value.is_empty())
}

fn wrong(node: Element<'_, '_>, name: &str) -> Bad {
    let value: String = node.attribute(name).unwrap_or_default().chars().take(40).collect();
    Bad(format!(
        "{name}=\"{value}\" of <{}> is not acceptable",
        node.tag_name().name()
    ))
}

fn number<T: FromStr + PartialOrd>(node: Element<'_, '_>, name: &str, default: T, least: T, most: T) -> Result<T, Bad> {
    let Some(value) = attribute(node, name) else {
        return Ok(default);
    };
    let value = value.parse::<T>().ok().filter(|value| *value >= least);
    // More than the most is the most, as the vendor has it; less than the least is a mistake.
    value
        .map(|value| if value > most { most } else { value })
        .ok_or_else(|| wrong(node, name))
}

fn seconds(node: Element<'_, '_>, name: &str, default: u64, most: u64) -> Result<Duration, Bad> {
    number(node, name, default, 0, most).map(Duration::from_secs)
}

fn flag(node: Element<'_, '_>, name: &str, default: bool) -> Result<bool, Bad> {
    match attribute(node, name) {
        None => Ok(default),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(wrong(node, name)),
    }
}

fn method(node: Element<'_, '_>, name: &str, default: Method) -> Result<Method, Bad> {
    match attribute(node, name) {
        None => Ok(default),
        Some(value) if value.eq_ignore_ascii_case("GET") => Ok(Method::GET),
        Some(value) if value.eq_ignore_ascii_case("POST") => Ok(Method::POST),
        Some(_) => Err(wrong(node, name)),
    }
}

fn target(node: Element<'_, '_>, url: &str, by: &str) -> Result<Option<Target>, Bad> {
    let method = method(node, by, Method::POST)?;
    let target = attribute(node, url).map(|url| Target {
        url: url.to_owned(),
        method,
    });
    Ok(target)
}

fn callback(node: Element<'_, '_>, default: &str) -> Result<Option<Callback>, Bad> {
    let Some(target) = target(node, "statusCallback", "statusCallbackMethod")? else {
        return Ok(None);
    };
    let events = attribute(node, "statusCallbackEvent").unwrap_or(default);
    let events = events.split_whitespace().map(str::to_owned).collect();
    Ok(Some(Callback { target, events }))
}

fn wait(node: Element<'_, '_>) -> Result<Wait, Bad> {
    Ok(match node.attribute("waitUrl").map(str::trim) {
        None => Wait::Music,
        Some("") => Wait::Silence,
        Some(url) => Wait::Document(Target {
            url: url.to_owned(),
            method: method(node, "waitUrlMethod", method(node, "waitMethod", Method::POST)?)?,
        }),
    })
}

fn verb(node: Element<'_, '_>) -> Result<Verb, Bad> {
    Ok(match node.tag_name().name() {
        "Say" => Verb::Say(Say {
            text: text(node),
            language: attribute(node, "language").map(str::to_owned),
            times: number(node, "loop", 1, 0, 1_000)?,
        }),
        "Play" => Verb::Play(Play {
            url: text(node),
            digits: attribute(node, "digits").map(str::to_owned),
            times: number(node, "loop", 1, 0, 1_000)?,
        }),
        "Pause" => Verb::Pause(seconds(node, "length", 1, 3_600)?),
        "Gather" => Verb::Gather(Box::new(gather(node)?)),
        "Record" => Verb::Record(Box::new(record(node)?)),
        "Dial" => Verb::Dial(Box::new(dial(node)?)),
        "Enqueue" => Verb::Enqueue(Box::new(enqueue(node)?)),
        "Redirect" => Verb::Redirect(Target {
            url: text(node),
            method: method(node, "method", Method::POST)?,
        }),
        "Reject" => Verb::Reject {
            busy: attribute(node, "reason") == Some("busy"),
        },
        "Refer" => {
            let to = node
                .children()
                .find(|child| matches!(child.tag_name().name(), "Sip" | "ReferSip"));
            Verb::Refer {
                action: target(node, "action", "method")?,
                to: to.map(text).unwrap_or_default(),
            }
        }
        "Hangup" => Verb::Hangup,
        "Leave" => Verb::Leave,
        other => Verb::Unknown(other.chars().take(40).collect()),
    })
}

fn gather(node: Element<'_, '_>) -> Result<Gather, Bad> {
    let finish = match node.attribute("finishOnKey").map(str::trim) {
        None => Some('#'),
        Some("") => None,
        Some(key) => {
            let mut keys = key
                .chars()
                .filter(|key| key.is_ascii_digit() || matches!(key, '#' | '*'));
            Some(keys.next().ok_or_else(|| wrong(node, "finishOnKey"))?)
        }
    };
    let digits = number(node, "numDigits", 0_usize, 1, 1_000)?;
    let input = attribute(node, "input").unwrap_or("dtmf");
    let prompts = node
        .children()
        .filter(|child| matches!(child.tag_name().name(), "Say" | "Play" | "Pause"));
    let timeout = match attribute(node, "timeout") {
        Some("auto") => Duration::from_secs(5),
        _ => seconds(node, "timeout", 5, 3_600)?,
    };
    Ok(Gather {
        action: target(node, "action", "method")?,
        method: method(node, "method", Method::POST)?,
        timeout,
        finish,
        digits: (digits > 0).then_some(digits),
        even_empty: flag(node, "actionOnEmptyResult", false)?,
        speech: input.contains("speech"),
        prompts: prompts.map(verb).collect::<Result<_, _>>()?,
    })
}

fn record(node: Element<'_, '_>) -> Result<Record, Bad> {
    Ok(Record {
        action: target(node, "action", "method")?,
        method: method(node, "method", Method::POST)?,
        longest: seconds(node, "maxLength", 3_600, 14_400)?,
        finish: attribute(node, "finishOnKey").unwrap_or("1234567890*#").to_owned(),
        beep: flag(node, "playBeep", true)?,
        callback: target(node, "recordingStatusCallback", "recordingStatusCallbackMethod")?,
    })
}

fn dial(node: Element<'_, '_>) -> Result<Dial, Bad> {
    let record = attribute(node, "record").unwrap_or("do-not-record");
    Ok(Dial {
        action: target(node, "action", "method")?,
        method: method(node, "method", Method::POST)?,
        timeout: seconds(node, "timeout", 30, 600)?.max(Duration::from_secs(1)),
        hangup_on_star: flag(node, "hangupOnStar", false)?,
        longest: seconds(node, "timeLimit", 14_400, 86_400)?,
        caller_id: attribute(node, "callerId").map(str::to_owned),
        record: !matches!(record, "do-not-record" | "false"),
        answer_on_bridge: flag(node, "answerOnBridge", false)?,
        sequential: flag(node, "sequential", false)?,
        record_callback: target(node, "recordingStatusCallback", "recordingStatusCallbackMethod")?,
        to: dial_to(node)?,
    })
}

fn dial_to(node: Element<'_, '_>) -> Result<DialTo, Bad> {
    let mut parties = Vec::new();
    for child in node.children().filter(Node::is_element) {
        match child.tag_name().name() {
            "Conference" => return Ok(DialTo::Conference(Box::new(conference(child)?))),
            "Queue" => {
                return Ok(DialTo::Queue(Box::new(QueueNoun {
                    name: text(child),
                    whisper: target(child, "url", "method")?,
                    reservation: attribute(child, "reservationSid").map(str::to_owned),
                    post_work: attribute(child, "postWorkActivitySid").map(str::to_owned),
                })));
            }
            "Number" => parties.push(noun(child, text(child))?),
            "Sip" => parties.push(noun(child, text(child))?),
            "Client" => {
                let identity = child.children().find(|inner| inner.tag_name().name() == "Identity");
                let name = identity.map_or_else(|| text(child), text);
                parties.push(noun(child, format!("client:{name}"))?);
            }
            other => {
                return Err(Bad(format!(
                    "<{}> cannot stand in <Dial>",
                    other.chars().take(40).collect::<String>()
                )));
            }
        }
    }
    if parties.is_empty() {
        let number = text(node);
        if number.is_empty() {
            return Ok(DialTo::Nobody);
        }
        parties.push(Noun {
            to: number,
            whisper: None,
            callback: None,
            digits: None,
            credentials: None,
        });
    }
    if parties.len() > PARTIES {
        return Err(Bad(format!("<Dial> has more than {PARTIES} parties")));
    }
    Ok(DialTo::Parties(parties))
}

fn noun(node: Element<'_, '_>, to: String) -> Result<Noun, Bad> {
    let name = attribute(node, "username").map(str::to_owned);
    let word = attribute(node, "password").map(str::to_owned);
    Ok(Noun {
        to,
        whisper: target(node, "url", "method")?,
        callback: callback(node, "completed")?,
        digits: attribute(node, "sendDigits").map(str::to_owned),
        credentials: name.zip(word),
    })
}

fn conference(node: Element<'_, '_>) -> Result<ConferenceNoun, Bad> {
    let beep = match attribute(node, "beep").unwrap_or("true") {
        "true" => (true, true),
        "false" => (false, false),
        "onEnter" => (true, false),
        "onExit" => (false, true),
        _ => return Err(wrong(node, "beep")),
    };
    let label = attribute(node, "participantLabel").map(str::to_owned);
    if label.as_ref().is_some_and(|label| label.chars().count() > 128) {
        return Err(wrong(node, "participantLabel"));
    }
    let name = text(node);
    if name.is_empty() || name.chars().count() > 128 {
        return Err(Bad("<Conference> needs a name of 1 to 128 characters".to_owned()));
    }
    Ok(ConferenceNoun {
        name,
        muted: flag(node, "muted", false)?,
        beep,
        starts: flag(node, "startConferenceOnEnter", true)?,
        ends: flag(node, "endConferenceOnExit", false)?,
        label,
        wait: wait(node)?,
        most: number(node, "maxParticipants", 250, 2, 250)?,
        record: matches!(attribute(node, "record"), Some("record-from-start" | "true")),
        coach: attribute(node, "coach").map(str::to_owned),
        callback: callback(node, "start end")?,
        record_callback: target(node, "recordingStatusCallback", "recordingStatusCallbackMethod")?,
    })
}

fn enqueue(node: Element<'_, '_>) -> Result<Enqueue, Bad> {
    let task = node.children().find(|child| child.tag_name().name() == "Task");
    let own = node
        .children()
        .filter(Node::is_text)
        .filter_map(|node| node.text())
        .collect::<String>();
    Ok(Enqueue {
        name: own.trim().to_owned(),
        action: target(node, "action", "method")?,
        wait: wait(node)?,
        workflow: attribute(node, "workflowSid").map(str::to_owned),
        most: number(node, "maxQueueSize", 100, 1, 5_000)?,
        task: task.map(text),
        priority: task
            .map(|task| number(task, "priority", 0, 0, i64::from(i32::MAX)))
            .transpose()?,
    })
}
