//! Reads the configuration file, and nothing else.

use std::path::Path;

use super::failure::{Failure, WRONG};
use crate::config::Config;

/// A configuration is a page or two; a larger file is the wrong file.
const LARGEST: u64 = 1024 * 1024;

/// The checked configuration of a file.
pub(super) fn read(path: &Path) -> Result<Config, Failure> {
    let name = path.display().to_string();
    let unreadable = |error: &dyn std::fmt::Display| Failure::new(WRONG, format!("{name}: {error}"));
    let size = std::fs::metadata(path)
        .map_err(|error| unreadable(&error).hint("give a file that exists: --config FILE"))?
        .len();
    if size > LARGEST {
        return Err(unreadable(&"too large for a configuration"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error).hint("a TOML file is UTF-8 text"))?;
    Config::read(&name, &text).map_err(|report| Failure::new(WRONG, report))
}
