//! What a ladder says about one message: a label for the arrow, and a note about what matters for hold and transfer.

use super::redact::Redact;
use crate::sdp::Description;
use crate::sip::{HeaderName, Message, Method, ReferTo, Sipfrag, SubscriptionState, Uri};

/// A message in words.
pub(super) struct Told {
    /// From the longest to the shortest; the first one that fits stands on the arrow.
    pub(super) labels: Vec<String>,
    /// Beside the ladder.
    pub(super) note: String,
    /// An ANSI colour code.
    pub(super) colour: &'static str,
}

pub(super) fn told(message: &Message, redact: bool) -> Told {
    let method = message.method();
    let (labels, colour) = match message.status() {
        None => (request_labels(message, redact), request_colour(method)),
        Some(status) => {
            let phrase = message.reason_phrase().map(String::from_utf8_lossy).unwrap_or_default();
            let labels = vec![
                format!("{status} {phrase} ({method})"),
                format!("{status} {phrase}"),
                format!("{status} ({method})"),
            ];
            (labels, status_colour(status))
        }
    };
    Told {
        labels,
        note: note(message, redact),
        colour,
    }
}

fn request_labels(message: &Message, redact: bool) -> Vec<String> {
    let method = message.method();
    let user = message
        .request_uri()
        .and_then(|uri| Uri::parse(uri).ok())
        .and_then(|uri| uri.user().map(|user| shown(user, redact)));
    let is_first = message.to_tag().is_none();
    let name = match method {
        // A re-INVITE is an INVITE within a dialog: newcomers look for the difference.
        Method::Invite if !is_first => "re-INVITE".to_owned(),
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Options
        | Method::Prack
        | Method::Update
        | Method::Subscribe
        | Method::Notify
        | Method::Refer
        | Method::Info
        | Method::Message
        | Method::Publish
        | Method::Extension(_) => method.to_string(),
    };
    match user {
        Some(user) if is_first => vec![format!("{name} {user}"), name],
        Some(_) | None => vec![name],
    }
}

fn request_colour(method: &Method) -> &'static str {
    match method {
        Method::Refer | Method::Notify | Method::Subscribe => "35",
        Method::Bye | Method::Cancel => "33",
        Method::Invite
        | Method::Ack
        | Method::Register
        | Method::Options
        | Method::Prack
        | Method::Update
        | Method::Info
        | Method::Message
        | Method::Publish
        | Method::Extension(_) => "36",
    }
}

fn status_colour(status: u16) -> &'static str {
    match status {
        0..200 => "2",
        200..300 => "32",
        // A challenge is no failure.
        401 | 407 => "33",
        _ => "31",
    }
}

fn shown(user: &str, redact: bool) -> String {
    if redact {
        Redact(user).to_string()
    } else {
        user.to_owned()
    }
}

fn note(message: &Message, redact: bool) -> String {
    let mut parts = Vec::new();
    if message.method() == &Method::Refer && message.is_request() {
        parts.push(match ReferTo::of(message) {
            Ok(refer_to) => {
                let uri = refer_to.target.uri;
                let target = uri
                    .user()
                    .map_or_else(|| uri.host().to_owned(), |user| shown(user, redact));
                let how = if refer_to.replaces.is_some() { ", Replaces" } else { "" };
                format!("Refer-To {target}{how}")
            }
            Err(_) => "bad Refer-To".to_owned(),
        });
    }
    if message.header(HeaderName::Replaces).is_some() {
        parts.push("Replaces".to_owned());
    }
    if message.method() == &Method::Notify && message.is_request() {
        if let Some(sipfrag) = Sipfrag::parse(&message.body()) {
            parts.push(format!("{} {}", sipfrag.status, sipfrag.reason));
        }
        if let Ok(state) = SubscriptionState::of(message) {
            parts.push(if state.is_terminated() {
                "last".to_owned()
            } else {
                "more to come".to_owned()
            });
        }
    }
    if message.method() == &Method::Register && message.is_request() {
        let signed = message.header(HeaderName::Authorization).is_some();
        parts.push(if signed {
            "with digest".to_owned()
        } else {
            "without digest".to_owned()
        });
    }
    if let Some(description) = description(message) {
        let port = description
            .media_address()
            .map(|(_, port)| format!(" :{port}"))
            .unwrap_or_default();
        parts.push(format!("SDP {}{port}", description.direction().as_str()));
    }
    parts.join(", ")
}

fn description(message: &Message) -> Option<Description> {
    let kind = message.text(HeaderName::ContentType)?;
    let is_sdp = kind
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/sdp"));
    if is_sdp {
        Description::parse(message.body()).ok()
    } else {
        None
    }
}
