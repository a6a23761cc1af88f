//! The configuration file: whatever stands in it, a checked configuration or a report with a place in it.

use warmline::config::Config;

pub(super) fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    match Config::read("edge.toml", text) {
        Ok(config) => {
            let _ = (config.domain(), config.names().len(), config.transports());
        }
        Err(report) => assert!(!report.to_string().is_empty()),
    }
}
