//! `[webhook]`: whom the edge may tell and ask over HTTP.

use super::fields::Fields;
use super::parts::network;
use super::report::Problems;
use crate::engine::Network;

/// The section, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhook {
    /// Private, loopback and other special networks that may be asked all the same.
    pub allow: Vec<Network>,
    /// A PEM file of roots that are trusted beside the system's.
    pub ca: Option<String>,
}

pub(super) fn webhook(file: &mut Fields<'_>, problems: &mut Problems) -> Webhook {
    let Some(mut fields) = file.table("webhook", "[webhook]", problems) else {
        return Webhook::default();
    };
    let blocks = fields.texts("allow", problems);
    let allow = blocks.iter().filter_map(|block| network(block, problems)).collect();
    let ca = fields.text("ca", problems).map(|path| path.value.to_owned());
    fields.finish(problems);
    Webhook { allow, ca }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const BASE: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n";

    #[test]
    fn nobody_in_private_is_asked_unless_the_file_says_so() {
        let read = |more: &str| Config::read("x.toml", &format!("{BASE}{more}"));
        assert!(read("").unwrap().webhook.allow.is_empty());
        let config = read("[webhook]\nallow = [\"127.0.0.0/8\", \"::1\"]\nca = \"own.pem\"\n").unwrap();
        assert_eq!(config.webhook.allow.len(), 2);
        assert_eq!(config.webhook.ca.as_deref(), Some("own.pem"));
        let report = read("[webhook]\nallow = [\"home\"]\n").unwrap_err().to_string();
        assert!(report.contains("`home` is no address block"), "{report}");
    }
}
