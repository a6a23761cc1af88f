//! `[records]`: what is kept of calls.

use super::fields::Fields;
use super::report::Problems;

/// What is kept of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// Complete records in memory.
    pub keep: usize,
    /// Where they are appended as lines of JSON; `None`: nowhere.
    pub file: Option<String>,
}

impl Default for Records {
    fn default() -> Self {
        Records {
            keep: 1_000,
            file: None,
        }
    }
}

pub(super) fn records(file: &mut Fields<'_>, problems: &mut Problems) -> Records {
    let mut records = Records::default();
    let Some(mut fields) = file.table("records", "[records]", problems) else {
        return records;
    };
    if let Some(keep) = fields.number("keep", 0..=100_000, problems) {
        records.keep = usize::try_from(keep).unwrap_or(records.keep);
    }
    if let Some(path) = fields.text("file", problems) {
        if path.value.is_empty() || path.value.ends_with('/') || path.value.contains('\0') {
            problems.add(path.span, "`file` names no file", "write file = \"calls.jsonl\"");
        } else {
            records.file = Some(path.value.to_owned());
        }
    }
    fields.finish(problems);
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const EDGE: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n";

    #[test]
    fn what_is_kept_is_said_in_records() {
        let read = |text: &str| Config::read("edge.toml", &format!("{EDGE}{text}"));
        assert_eq!(read("").unwrap().records, Records::default());
        let config = read("[records]\nkeep = 5\nfile = \"calls.jsonl\"\n").unwrap();
        let expect = Records {
            keep: 5,
            file: Some("calls.jsonl".to_owned()),
        };
        assert_eq!(config.records, expect);
        let report = read("[records]\nfile = \"calls/\"\nkep = 5\n").unwrap_err().to_string();
        assert!(report.contains("names no file") && report.contains("keep"), "{report}");
    }
}
