//! One token for everything, compared without telling how much of it was right (RFC 6750).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Shared;
use super::problem::Problem;

/// A token as we keep it: its digest, so that neither its length nor a copy of our memory gives it away.
#[derive(Clone)]
pub(super) struct Token([u8; 32]);

impl Token {
    pub(super) fn of(token: &str) -> Token {
        Token(Sha256::digest(token).into())
    }

    pub(super) fn is(&self, given: &str) -> bool {
        Token::of(given).0.ct_eq(&self.0).into()
    }
}

/// Lets nobody pass without the token, but for the health checks, which a load balancer asks.
pub(super) async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if matches!(request.uri().path(), "/healthz" | "/readyz") {
        return next.run(request).await;
    }
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap_or_default());
    let refused = match given.map(|given| given.split_once(' ')) {
        None => "there is no Authorization header",
        // RFC 9110 §11.1: the scheme is compared without regard to case.
        Some(Some((scheme, token))) if scheme.eq_ignore_ascii_case("bearer") => {
            if shared.access.admits(token.trim()) {
                return next.run(request).await;
            }
            "the token is wrong"
        }
        Some(Some(_) | None) => "the Authorization header is no bearer token",
    };
    Problem::unauthorized(refused).into_response()
}
