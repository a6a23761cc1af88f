//! The softphone page beside the API: same port, no token.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};

use super::super::softphone::{Asked, PATH, Site};

/// The page's paths; none where there is no page.
pub(super) fn routes(site: Option<Arc<Site>>) -> Router {
    let Some(site) = site else { return Router::new() };
    Router::new()
        .route(PATH, any(answer))
        .route(&format!("{PATH}/"), any(answer))
        .route(&format!("{PATH}/{{*file}}"), any(answer))
        .layer(Extension(site))
}

async fn answer(Extension(site): Extension<Arc<Site>>, request: Request) -> Response {
    let host = request.headers().get(header::HOST);
    let asked = Asked {
        path: request.uri().path(),
        host: host.and_then(|host| host.to_str().ok()),
        // The API's listener has no TLS; a reverse proxy that adds it is named in [softphone].
        tls: false,
        port: 0,
    };
    site.respond(request.method(), &asked).map(Body::from)
}
