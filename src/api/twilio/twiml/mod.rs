//! TwiML: what an application answers when it is asked what to do with a call.
//!
//! Owns the verbs and their attributes, with the vendor's defaults, and the reading of documents of strangers: no DTD, no
//! entities, bounded in size, elements and depth.

mod parse;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::http::Method;

pub(in crate::api::twilio) use parse::parse;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) enum Verb {
    Say(Say),
    Play(Play),
    Pause(Duration),
    Gather(Box<Gather>),
    Record(Box<Record>),
    Dial(Box<Dial>),
    Enqueue(Box<Enqueue>),
    Redirect(Target),
    Reject {
        busy: bool,
    },
    Refer {
        action: Option<Target>,
        to: String,
    },
    Hangup,
    Leave,
    /// One that this edge does not know: told, and passed over.
    Unknown(String),
}

/// A URL as it is written, often relative, and how it is asked.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) struct Target {
    pub(in crate::api::twilio) url: String,
    pub(in crate::api::twilio) method: Method,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) struct Say {
    pub(in crate::api::twilio) text: String,
    pub(in crate::api::twilio) language: Option<String>,
    /// 0: until somebody ends it.
    pub(in crate::api::twilio) times: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) struct Play {
    pub(in crate::api::twilio) url: String,
    pub(in crate::api::twilio) digits: Option<String>,
    /// 0: until somebody ends it.
    pub(in crate::api::twilio) times: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) struct Gather {
    pub(in crate::api::twilio) action: Option<Target>,
    pub(in crate::api::twilio) method: Method,
    pub(in crate::api::twilio) timeout: Duration,
    /// `None`: no key ends it.
    pub(in crate::api::twilio) finish: Option<char>,
    /// `None`: as many as come.
    pub(in crate::api::twilio) digits: Option<usize>,
    pub(in crate::api::twilio) even_empty: bool,
    /// It asks for speech, which nobody here understands.
    pub(in crate::api::twilio) speech: bool,
    pub(in crate::api::twilio) prompts: Vec<Verb>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) struct Record {
    pub(in crate::api::twilio) action: Option<Target>,
    pub(in crate::api::twilio) method: Method,
    pub(in crate::api::twilio) longest: Duration,
    /// Keys that end it.
    pub(in crate::api::twilio) finish: String,
    pub(in crate::api::twilio) beep: bool,
    pub(in crate::api::twilio) callback: Option<Target>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) struct Dial {
    pub(in crate::api::twilio) action: Option<Target>,
    pub(in crate::api::twilio) method: Method,
    pub(in crate::api::twilio) timeout: Duration,
    pub(in crate::api::twilio) hangup_on_star: bool,
    pub(in crate::api::twilio) longest: Duration,
    pub(in crate::api::twilio) caller_id: Option<String>,
    pub(in crate::api::twilio) record: bool,
    pub(in crate::api::twilio) answer_on_bridge: bool,
    pub(in crate::api::twilio) sequential: bool,
    pub(in crate::api::twilio) record_callback: Option<Target>,
    pub(in crate::api::twilio) to: DialTo,
}

/// Whom a Dial reaches.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) enum DialTo {
    /// One or more at the same time, or one after the other.
    Parties(Vec<Noun>),
    Conference(Box<ConferenceNoun>),
    Queue(Box<QueueNoun>),
    Nobody,
}

/// Somebody to call.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) struct Noun {
    /// `+1555…`, `client:name` or `sip:…`.
    pub(in crate::api::twilio) to: String,
    /// What it hears alone before it is joined.
    pub(in crate::api::twilio) whisper: Option<Target>,
    pub(in crate::api::twilio) callback: Option<Callback>,
    pub(in crate::api::twilio) digits: Option<String>,
    pub(in crate::api::twilio) credentials: Option<(String, String)>,
}

/// Who is told of what.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) struct Callback {
    pub(in crate::api::twilio) target: Target,
    pub(in crate::api::twilio) events: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) struct ConferenceNoun {
    pub(in crate::api::twilio) name: String,
    pub(in crate::api::twilio) muted: bool,
    /// When it comes, when it leaves.
    pub(in crate::api::twilio) beep: (bool, bool),
    pub(in crate::api::twilio) starts: bool,
    pub(in crate::api::twilio) ends: bool,
    pub(in crate::api::twilio) label: Option<String>,
    pub(in crate::api::twilio) wait: Wait,
    pub(in crate::api::twilio) most: u16,
    pub(in crate::api::twilio) record: bool,
    pub(in crate::api::twilio) coach: Option<String>,
    pub(in crate::api::twilio) callback: Option<Callback>,
    pub(in crate::api::twilio) record_callback: Option<Target>,
}

/// What one hears who waits.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) enum Wait {
    /// The edge's own hold music.
    Music,
    Silence,
    Document(Target),
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) struct QueueNoun {
    pub(in crate::api::twilio) name: String,
    pub(in crate::api::twilio) whisper: Option<Target>,
    pub(in crate::api::twilio) reservation: Option<String>,
    pub(in crate::api::twilio) post_work: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::api::twilio) struct Enqueue {
    /// Of the queue; with a workflow there is none.
    pub(in crate::api::twilio) name: String,
    pub(in crate::api::twilio) action: Option<Target>,
    pub(in crate::api::twilio) wait: Wait,
    pub(in crate::api::twilio) workflow: Option<String>,
    pub(in crate::api::twilio) most: usize,
    /// A task's attributes, as JSON.
    pub(in crate::api::twilio) task: Option<String>,
    pub(in crate::api::twilio) priority: Option<i64>,
}
