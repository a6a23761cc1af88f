//! Remembers answers by `Idempotency-Key`, so that a client that lost an answer may ask again without a second transfer.

use std::collections::{HashMap, VecDeque};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::problem::Problem;

/// Answers that are remembered; the oldest goes first.
const KEPT: usize = 1_024;
/// The longest key.
const LONGEST: usize = 255;

/// An answer that can be given again.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) location: Option<String>,
    pub(super) body: Bytes,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        if let Some(location) = self.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// What came with a key: the digest of its request's body, and the answer once there is one.
struct Kept {
    body: [u8; 32],
    answer: Option<Answer>,
}

/// The memory.
#[derive(Default)]
pub(super) struct Answers {
    kept: HashMap<String, Kept>,
    order: VecDeque<String>,
}

impl Answers {
    /// `Ok(None)`: carry it out. `Ok(Some)`: it was, and this came of it.
    pub(super) fn begin(&mut self, key: &str, body: [u8; 32]) -> Result<Option<Answer>, Problem> {
        let field = "Idempotency-Key";
        if let Some(kept) = self.kept.get(key) {
            if kept.body != body {
                let hint = "take a new key for a new request";
                return Err(Problem::invalid(field, "this key came with another body before").hint(hint));
            }
            let busy = || Problem::conflict("the first request with this key is still under way").field(field);
            return kept.answer.clone().map(Some).ok_or_else(busy);
        }
        if self.order.len() == KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
        self.order.push_back(key.to_owned());
        self.kept.insert(key.to_owned(), Kept { body, answer: None });
        Ok(None)
    }

    /// Remembers what came of it; `None`: nothing that may be repeated to the client, so that it may try again.
    pub(super) fn end(&mut self, key: &str, answer: Option<Answer>) {
        match answer {
            Some(answer) => {
                if let Some(kept) = self.kept.get_mut(key) {
                    kept.answer = Some(answer);
                }
            }
            None => {
                self.kept.remove(key);
                self.order.retain(|other| other != key);
            }
        }
    }
}

/// The request's key, if it has one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > LONGEST {
        let detail = format!("the key must be 1 to {LONGEST} visible ASCII characters");
        return Err(Problem::malformed(detail)
            .field("Idempotency-Key")
            .hint("a UUID serves well"));
    }
    Ok(Some(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer {
            status: StatusCode::ACCEPTED,
            kind: "application/json",
            location: None,
            body: Bytes::new(),
        }
    }

    #[test]
    fn a_key_gives_the_same_answer_to_the_same_body_only() {
        let mut answers = Answers::default();
        assert!(answers.begin("k", [1; 32]).unwrap().is_none());
        assert_eq!(answers.begin("k", [1; 32]).unwrap_err().status, 409);
        answers.end("k", Some(answer()));
        assert!(answers.begin("k", [1; 32]).unwrap().is_some());
        assert_eq!(answers.begin("k", [2; 32]).unwrap_err().status, 422);
        answers.end("k", None);
        assert!(answers.begin("k", [2; 32]).unwrap().is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut answers = Answers::default();
        for number in 0..KEPT + 10 {
            assert!(answers.begin(&number.to_string(), [0; 32]).unwrap().is_none());
        }
        assert_eq!((answers.kept.len(), answers.order.len()), (KEPT, KEPT));
    }
}
