//! `[limits]`: how much a source and a user may ask for, and who is shut out.

use std::time::Duration;

use super::fields::Fields;
use super::parts::network;
use super::report::Problems;
use crate::engine::{Rate, RequestLimits};

pub(super) fn limits(file: &mut Fields<'_>, problems: &mut Problems) -> RequestLimits {
    let mut limits = RequestLimits::default();
    let Some(mut fields) = file.table("limits", "[limits]", problems) else {
        return limits;
    };
    rate(
        &mut fields,
        ["requests_per_minute", "requests_burst"],
        &mut limits.source,
        problems,
    );
    rate(
        &mut fields,
        ["calls_per_minute", "calls_burst"],
        &mut limits.calls,
        problems,
    );
    rate(
        &mut fields,
        ["transfers_per_minute", "transfers_burst"],
        &mut limits.transfers,
        problems,
    );
    if let Some(failures) = fields.number("failures", 0..=10_000, problems) {
        limits.failures = u32::try_from(failures).unwrap_or(limits.failures);
    }
    if let Some(seconds) = fields.number("failures_within_s", 1..=3_600, problems) {
        limits.window = Duration::from_secs(seconds);
    }
    if let Some(seconds) = fields.number("ban_s", 1..=86_400, problems) {
        limits.ban = Duration::from_secs(seconds);
    }
    if let Some(seconds) = fields.number("longest_ban_s", 1..=2_592_000, problems) {
        limits.longest = Duration::from_secs(seconds);
    }
    if fields.has("allow") {
        let blocks = fields.texts("allow", problems);
        limits.allow = blocks.iter().filter_map(|block| network(block, problems)).collect();
    }
    limits.longest = limits.longest.max(limits.ban);
    fields.finish(problems);
    limits
}

/// The burst is a minute's worth where the file does not say.
fn rate(fields: &mut Fields<'_>, [often, burst]: [&'static str; 2], rate: &mut Rate, problems: &mut Problems) {
    if let Some(number) = fields.number(often, 0..=60_000_000, problems) {
        rate.per_minute = u32::try_from(number).unwrap_or(u32::MAX);
        rate.burst = rate.per_minute;
    }
    if let Some(number) = fields.number(burst, 1..=60_000_000, problems) {
        rate.burst = u32::try_from(number).unwrap_or(u32::MAX);
    }
}
