//! The sound of a recording, as its `media_url` gives it, whole or by ranges (RFC 9110 §14).
//!
//! Names are the edge's own (`media::audio`): nothing of a request becomes part of a path.

use std::path::{Path, PathBuf};

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use tower_http::services::ServeFile;

/// Where a recording of this name lies.
fn place(folder: Option<&Path>, name: &str) -> Option<PathBuf> {
    folder.map(|folder| folder.join(format!("{name}.wav")))
}

/// The file, or what is asked of it; `None`: there is no folder.
pub(super) async fn send(folder: Option<&Path>, name: &str, request: Request) -> Option<Response> {
    let file = ServeFile::new(place(folder, name)?);
    let mut response = file.oneshot(request).await.into_response();
    if response.status().is_success() {
        // As the vendor names it.
        let kind = HeaderValue::from_static("audio/x-wav");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Some(response)
}

/// Deletes the file; one that somebody else has taken away is gone as well.
pub(super) async fn remove(folder: Option<&Path>, name: &str) {
    let Some(path) = place(folder, name) else { return };
    match tokio::fs::remove_file(&path).await {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, recording = name, "a recording cannot be deleted"),
    }
}
