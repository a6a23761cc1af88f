//! How much of a message is taken from a stranger.

/// Upper bounds of the parser. The defaults are those of the project's RFC map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A whole message, in octets.
    pub message: usize,
    /// One header line with its folded continuation lines, in octets.
    pub header_line: usize,
    /// Number of header lines.
    pub headers: usize,
    /// The Request-URI, in octets.
    pub uri: usize,
    /// A session description, in octets.
    pub sdp: usize,
    /// Number of m-lines of a session description.
    pub media_lines: usize,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Limits = Limits {
        message: 65_536,
        header_line: 8_192,
        headers: 128,
        uri: 1_024,
        sdp: 32_768,
        media_lines: 16,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::DEFAULT
    }
}
