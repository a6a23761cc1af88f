//! What applications answer, read and forgotten: the same readers that the dialects use, for whoever searches for octets
//! that break them (`tests/fuzz`).

/// How many verbs a TwiML document has; `None`: it is none.
pub fn twiml(text: &str) -> Option<usize> {
    super::twilio::verbs(text)
}

/// How many replies a bot's answer has; `None`: it is none.
pub fn bot(octets: &[u8]) -> Option<usize> {
    super::bot::replies(octets)
}

/// Whether a TaskRouter expression fits these attributes, a JSON object; `None`: one of them cannot be read.
pub fn expression(text: &str, attributes: &str) -> Option<bool> {
    super::twilio::fits(text, &serde_json::from_str(attributes).ok()?)
}
