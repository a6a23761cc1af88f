//! Why a request was refused, in both of the shapes that the vendor's clients read.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::api::CommandError;
use crate::engine::Refusal;

/// A refusal. Boxed: it travels in every result, and is rare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault(Box<Told>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    status: StatusCode,
    code: &'static str,
    message: String,
    parameter: Option<(String, String)>,
    retry_after: Option<u64>,
    /// RFC 6749 §5.2: what OAuth clients read.
    oauth: Option<&'static str>,
}

impl Fault {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Fault {
        Fault(Box::new(Told {
            status,
            code,
            message: message.into(),
            parameter: None,
            retry_after: None,
            oauth: None,
        }))
    }

    fn about(mut self, name: &str, value: String) -> Fault {
        self.0.parameter = Some((name.to_owned(), value));
        self
    }

    /// A parameter's value is not acceptable: 400. What is echoed of it is short, and never a secret.
    pub(super) fn parameter(name: &str, value: &str) -> Fault {
        let value: String = value.chars().take(60).collect();
        let message = format!("Parameter [{name}] value is invalid");
        Fault::new(StatusCode::BAD_REQUEST, "CMN-101", message).about(name, value)
    }

    /// No such session, party, device, extension: 404.
    pub(super) fn not_found(name: &str) -> Fault {
        let message = format!("Resource for parameter [{name}] is not found");
        Fault::new(StatusCode::NOT_FOUND, "CMN-102", message).about(name, String::new())
    }

    /// The body is no JSON of the right form: 400.
    pub(super) fn body(why: impl std::fmt::Display) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, "CMN-103", format!("Unparsable JSON: {why}"))
    }

    pub(super) fn too_large() -> Fault {
        Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "CMN-103", "The body is too large")
    }

    /// No such path: 404.
    pub(super) fn uri() -> Fault {
        Fault::new(StatusCode::NOT_FOUND, "CMN-120", "Invalid URI")
    }

    pub(super) fn method() -> Fault {
        Fault::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "CMN-120",
            "The path does not know this method",
        )
    }

    /// The party's state does not allow it: 409.
    pub(super) fn state(why: impl Into<String>) -> Fault {
        Fault::new(
            StatusCode::CONFLICT,
            "TAS-102",
            format!("Incorrect State: {}", why.into()),
        )
    }

    /// It is never allowed here: 403.
    pub(super) fn not_allowed(why: &str) -> Fault {
        Fault::new(StatusCode::FORBIDDEN, "TAS-106", why)
    }

    /// This call cannot be muted: 403.
    pub(super) fn mute() -> Fault {
        Fault::new(StatusCode::FORBIDDEN, "TAS-115", "Mute is not supported for this call")
    }

    /// Somebody else's: 403.
    pub(super) fn permission(name: &str) -> Fault {
        let message = format!("In order to call this API endpoint, application needs to have [{name}] permission");
        Fault::new(StatusCode::FORBIDDEN, "CMN-401", message)
    }

    /// Too many requests: 429, and when it may be tried again.
    pub(super) fn too_many(seconds: u64) -> Fault {
        let mut fault = Fault::new(StatusCode::TOO_MANY_REQUESTS, "CMN-301", "Request rate exceeded");
        fault.0.retry_after = Some(seconds);
        fault
    }

    /// The engine is on its way out, or too slow: 503.
    pub(super) fn unavailable() -> Fault {
        Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "CMN-201",
            "Service Temporary Unavailable",
        )
    }

    /// A bearer token that is missing or not good: 401.
    pub(super) fn token(code: &'static str, message: &str) -> Fault {
        Fault::new(StatusCode::UNAUTHORIZED, code, message)
    }

    /// A refusal at the token endpoint (RFC 6749 §5.2).
    pub(super) fn oauth(status: StatusCode, code: &'static str, word: &'static str, message: &str) -> Fault {
        let mut fault = Fault::new(status, code, message);
        fault.0.oauth = Some(word);
        fault
    }

    /// The webhook did not prove that it wants to be told: 400.
    pub(super) fn webhook(why: impl std::fmt::Display) -> Fault {
        let message = format!("WebHook validation failed: {why}");
        Fault::new(StatusCode::BAD_REQUEST, "SUB-525", message)
    }

    pub(super) fn status(&self) -> u16 {
        self.0.status.as_u16()
    }

    /// The short form, with everything that the long form has, and that of OAuth where it belongs.
    pub(super) fn json(&self) -> Value {
        let mut error = json!({ "errorCode": self.0.code, "message": self.0.message });
        if let (Some((name, value)), Some(object)) = (&self.0.parameter, error.as_object_mut()) {
            object.insert("parameterName".to_owned(), json!(name));
            if !value.is_empty() {
                object.insert("parameterValue".to_owned(), json!(value));
            }
        }
        let mut whole = json!({ "errorCode": self.0.code, "message": self.0.message, "errors": [error] });
        if let (Some(word), Some(object)) = (self.0.oauth, whole.as_object_mut()) {
            object.insert("error".to_owned(), json!(word));
            object.insert("error_description".to_owned(), json!(self.0.message));
        }
        whole
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, Json(self.json())).into_response();
        if let Some(seconds) = self.0.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<CommandError> for Fault {
    fn from(error: CommandError) -> Fault {
        match error {
            CommandError::Stopped => Fault::unavailable(),
            CommandError::Refused(Refusal::NotFound { what, .. }) => Fault::state(format!("the {what} has ended")),
            CommandError::Refused(Refusal::Conflict { why }) => Fault::state(why),
            CommandError::Refused(Refusal::Party { status }) => Fault::state(format!("the party answered {status}")),
            CommandError::Refused(Refusal::Invalid { field, why }) => {
                let mut fault = Fault::parameter(field, "");
                fault.0.message.push_str(": ");
                fault.0.message.push_str(&why);
                fault
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_are_there_at_once() {
        let json = Fault::parameter("from.deviceId", "x").json();
        assert_eq!(json["errorCode"], "CMN-101");
        assert_eq!(json["errors"][0]["errorCode"], "CMN-101");
        assert_eq!(json["errors"][0]["message"], json["message"]);
        assert_eq!(json["errors"][0]["parameterName"], "from.deviceId");
        assert_eq!(json["errors"][0]["parameterValue"], "x");
        assert!(json.get("error").is_none());
        let json = Fault::oauth(StatusCode::BAD_REQUEST, "OAU-140", "invalid_grant", "no").json();
        assert_eq!(
            (json["error"].as_str(), json["error_description"].as_str()),
            (Some("invalid_grant"), Some("no"))
        );
    }

    #[test]
    fn a_wrong_state_is_409_whatever_the_engine_calls_it() {
        let conflict = Refusal::Conflict {
            why: "it rings".to_owned(),
        };
        let gone = Refusal::NotFound {
            what: "leg",
            handle: "leg-1-0".to_owned(),
        };
        for refusal in [conflict, gone, Refusal::Party { status: 488 }] {
            let fault = Fault::from(CommandError::Refused(refusal));
            assert_eq!((fault.status(), fault.0.code), (409, "TAS-102"));
            assert!(fault.0.message.starts_with("Incorrect State"));
        }
    }
}
