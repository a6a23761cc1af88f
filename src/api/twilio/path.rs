//! The named parts of a path, whose last one may end in `.json`.

use std::collections::HashMap;

use axum::extract::Path;

/// The parts by name.
pub(super) type Here = Path<HashMap<String, String>>;

/// A part without its ending; `None`: the path has no such part.
pub(super) fn part<'a>(path: &'a Here, name: &str) -> Option<&'a str> {
    path.get(name).map(|part| without_ending(part))
}

/// A part without its ending.
pub(super) fn without_ending(part: &str) -> &str {
    part.strip_suffix(".json").unwrap_or(part)
}
