//! Errors as RFC 9457 problem documents: what was wrong, where, and what to do.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::CommandError;
use crate::engine::Refusal;

/// Why a request was not carried out. Sent as `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem; stable, for programs.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The kind in words; the same for every occurrence.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// The field of the request that is meant: a JSON path, a path parameter or a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The party's SIP status, when a party was the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_status: Option<u16>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Problem {
        let (status, detail) = (status.as_u16(), detail.into());
        Problem {
            kind,
            title,
            status,
            detail,
            field: None,
            hint: None,
            sip_status: None,
        }
    }

    pub(super) fn field(mut self, field: impl Into<String>) -> Problem {
        self.field = Some(field.into());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// The request cannot be read: 400.
    pub(super) fn malformed(detail: impl Into<String>) -> Problem {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "urn:warmline:problem:malformed",
            "The request cannot be read",
            detail,
        )
    }

    /// The request can be read but not be meant: 422.
    pub(super) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Problem {
        let (kind, title) = ("urn:warmline:problem:invalid", "A value is not acceptable");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, title, detail).field(field)
    }

    /// Nobody may do this without the token: 401.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Problem {
        let (kind, title) = (
            "urn:warmline:problem:unauthorized",
            "The bearer token is missing or wrong",
        );
        Problem::new(StatusCode::UNAUTHORIZED, kind, title, detail)
            .hint("send `Authorization: Bearer TOKEN` with the token of [api] in the configuration, or the one printed at start")
    }

    /// A page of somebody else: 403.
    pub(super) fn foreign_origin(origin: &str) -> Problem {
        let (kind, title) = ("urn:warmline:problem:foreign-origin", "This page may not read here");
        let origin: String = origin.chars().take(100).collect();
        Problem::new(StatusCode::FORBIDDEN, kind, title, format!("Origin is `{origin}`"))
            .field("Origin")
            .hint("serve the page from the API's own host and port, or read from a program that is no browser")
    }

    /// No such path: 404.
    pub(super) fn no_such_path(path: &str) -> Problem {
        let path: String = path.chars().take(200).collect();
        Problem::new(
            StatusCode::NOT_FOUND,
            "urn:warmline:problem:no-such-path",
            "There is no such path",
            path,
        )
        .hint("GET /openapi.json lists every path")
    }

    /// The path knows other methods: 405.
    pub(super) fn no_such_method(method: &str) -> Problem {
        let (kind, title) = (
            "urn:warmline:problem:no-such-method",
            "The path does not know this method",
        );
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, kind, title, method).hint("the Allow header lists those it knows")
    }

    /// No JSON: 415.
    pub(super) fn not_json(given: &str) -> Problem {
        let (kind, title) = ("urn:warmline:problem:not-json", "The body must be JSON");
        let given: String = given.chars().take(100).collect();
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            kind,
            title,
            format!("Content-Type is `{given}`"),
        )
        .field("Content-Type")
        .hint("send `Content-Type: application/json`")
    }

    /// More than we read: 413.
    pub(super) fn too_large(limit: usize) -> Problem {
        let (kind, title) = ("urn:warmline:problem:too-large", "The body is too large");
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            kind,
            title,
            format!("more than {limit} octets"),
        )
    }

    /// What is there stands against it: 409.
    pub(super) fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new(
            StatusCode::CONFLICT,
            "urn:warmline:problem:conflict",
            "The present state does not allow this",
            detail,
        )
    }

    /// The edge takes too long: 504.
    pub(super) fn late() -> Problem {
        let (kind, title) = ("urn:warmline:problem:late", "There was no outcome in time");
        Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            kind,
            title,
            "the order stands; its outcome is unknown",
        )
        .hint("look at GET /v1/calls and GET /v1/events for what came of it")
    }

    /// Nothing is remembered of this call: 404.
    pub(super) fn no_ladder(call: &str) -> Problem {
        let (kind, title) = ("urn:warmline:problem:no-ladder", "There is no ladder of this call");
        Problem::new(StatusCode::NOT_FOUND, kind, title, format!("{call} is not remembered"))
            .hint("the ladders of the last calls are kept: [ladder] in the configuration says of how many")
    }

    /// No such queue, or no such user of queues: 404.
    pub(super) fn no_queue(what: &str, name: &str) -> Problem {
        let (kind, title) = ("urn:warmline:problem:no-queue", "There is no such queue or agent");
        let name: String = name.chars().take(40).collect();
        Problem::new(
            StatusCode::NOT_FOUND,
            kind,
            title,
            format!("there is no {what} `{name}`"),
        )
        .hint("[[queue]] and [[agent]] in the configuration name them")
    }

    /// No such call record is remembered: 404.
    pub(super) fn no_record(id: &str) -> Problem {
        let (kind, title) = ("urn:warmline:problem:no-record", "There is no such call record");
        let id: String = id.chars().take(40).collect();
        Problem::new(StatusCode::NOT_FOUND, kind, title, format!("{id} is not remembered"))
            .hint("the last ones are kept in memory: [records] keep in the configuration says how many")
    }

    /// New calls should go elsewhere: 503.
    pub(super) fn not_ready(detail: impl Into<String>) -> Problem {
        let (kind, title) = ("urn:warmline:problem:not-ready", "The edge is not ready for new calls");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, title, detail)
    }

    /// The edge does not do what it should: 500.
    pub(super) fn defect(detail: impl Into<String>) -> Problem {
        let (kind, title) = ("urn:warmline:problem:defect", "The edge has a defect");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, kind, title, detail)
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let text = error.to_string();
        match error {
            CommandError::Stopped => {
                let (kind, title) = ("urn:warmline:problem:stopping", "The edge is shutting down");
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, title, text)
            }
            CommandError::Refused(Refusal::NotFound { what, .. }) => {
                let (kind, title) = (
                    "urn:warmline:problem:not-found",
                    "There is no such call, leg or transfer",
                );
                let hint = match what {
                    "transfer" => "GET /v1/transfers lists those that are running or ended lately",
                    _ => "GET /v1/calls lists what is there now",
                };
                Problem::new(StatusCode::NOT_FOUND, kind, title, text).hint(hint)
            }
            CommandError::Refused(Refusal::Conflict { .. }) => Problem::conflict(text),
            CommandError::Refused(Refusal::Party { status }) => {
                let (kind, title) = ("urn:warmline:problem:party", "The party did not agree");
                let mut problem = Problem::new(StatusCode::BAD_GATEWAY, kind, title, text);
                problem.sip_status = Some(status);
                problem
            }
            CommandError::Refused(Refusal::Invalid { field, why }) => Problem::invalid(field, why),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            // RFC 6750 §3, RFC 9110 §11.6.1: a 401 says how to do better.
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"warmline\""),
            );
        }
        response
    }
}
