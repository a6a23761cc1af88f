//! Refusals in the shape that the SDKs read: `{code, message, more_info, status}`.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::api::CommandError;
use crate::engine::Refusal;

/// Why a request was not carried out. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: u16,
    pub(super) code: u32,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(status: u16, code: u32, message: impl Into<String>) -> Fault {
        let message = message.into();
        Fault { status, code, message }
    }

    /// A parameter that cannot be.
    pub(super) fn parameter(name: &str, why: &str) -> Fault {
        Fault::new(400, 20_001, format!("Invalid parameter {name}: {why}"))
    }

    pub(super) fn not_found(path: &str) -> Fault {
        Fault::new(404, 20_404, format!("The requested resource {path} was not found"))
    }

    pub(super) fn unauthorized() -> Fault {
        Fault::new(401, 20_003, "Authenticate")
    }

    /// The call is not in the state that a change needs; clients look for these words.
    pub(super) fn not_in_progress() -> Fault {
        Fault::new(400, 21_220, "Call is not in-progress. Cannot redirect.")
    }
}

impl From<CommandError> for Fault {
    fn from(error: CommandError) -> Fault {
        match error {
            CommandError::Stopped => Fault::new(503, 20_503, "The edge is shutting down"),
            CommandError::Refused(Refusal::NotFound { what, .. }) => {
                Fault::new(404, 20_404, format!("The {what} has ended"))
            }
            CommandError::Refused(Refusal::Conflict { why }) => Fault::new(409, 20_409, why),
            CommandError::Refused(Refusal::Party { status }) => {
                Fault::new(409, 20_409, format!("The party answered {status}"))
            }
            CommandError::Refused(Refusal::Invalid { field, why }) => Fault::parameter(field, &why),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status,
        });
        let mut response = (status, Json(body)).into_response();
        if self.status == 401 {
            let realm = HeaderValue::from_static("Basic realm=\"Twilio API\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}
