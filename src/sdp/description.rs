//! A session description, kept as the octets that came.

use super::direction::Direction;
use super::lines::{Line, lines};
use crate::sip::Limits;
use bytes::Bytes;
use compact_str::CompactString;
use std::ops::Range;

/// Why a body is no session description that this edge takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SdpError {
    /// More octets than [`Limits::sdp`].
    #[error("session description too large")]
    TooLarge,
    /// It does not start with `v=0`.
    #[error("session description without v=0")]
    Version,
    /// A line is no `x=value`.
    #[error("bad line in session description")]
    Line,
    /// An m-line is no `media port proto fmt`.
    #[error("bad m-line")]
    Media,
    /// More m-lines than [`Limits::media_lines`].
    #[error("too many m-lines")]
    TooManyMedia,
}

/// One m-line and what belongs to it.
#[derive(Debug)]
struct Section {
    /// From the m-line to the next one or the end.
    range: Range<usize>,
    audio: bool,
    port: u16,
    /// `a=bundle-only` makes port 0 a live line (RFC 9143 §6).
    bundle_only: bool,
    direction: Option<Direction>,
    connection: Option<Range<usize>>,
    protection: Protection,
}

/// How a description wants its media protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protection {
    /// RTP/AVP and RTP/AVPF.
    #[default]
    None,
    /// RTP/SAVP and RTP/SAVPF with keys in the description (RFC 4568).
    Keys,
    /// UDP/TLS/RTP/SAVP(F), or any profile with a fingerprint (RFC 5763).
    Dtls,
}

impl Section {
    fn is_live(&self) -> bool {
        self.port != 0 || self.bundle_only
    }
}

#[derive(Debug)]
struct Parts {
    /// End of the session level.
    session_end: usize,
    direction: Option<Direction>,
    /// The address of the session-level c-line.
    connection: Option<Range<usize>>,
    /// A fingerprint at the session level.
    fingerprint: bool,
    sections: Vec<Section>,
}

impl Parts {
    fn new(session_end: usize) -> Parts {
        Parts {
            session_end,
            direction: None,
            connection: None,
            fingerprint: false,
            sections: Vec::new(),
        }
    }

    fn main_section(&self) -> Option<&Section> {
        let mut live = self.sections.iter().filter(|section| section.is_live());
        live.clone().find(|section| section.audio).or_else(|| live.next())
    }
}

/// For what has been read before, and for our own edits of it.
const ANY_SIZE: Limits = Limits {
    sdp: usize::MAX,
    media_lines: usize::MAX,
    ..Limits::DEFAULT
};

/// A session description. Cloning shares its octets. What stands where in them is read when it is asked for: legs keep
/// descriptions for the length of a call and seldom ask.
#[derive(Clone, Debug)]
pub struct Description {
    bytes: Bytes,
    mark: u64,
}

impl Description {
    /// Reads a body of `application/sdp` (RFC 8866). Line ends may be CRLF or LF; unknown lines pass through.
    pub fn parse(bytes: Bytes) -> Result<Description, SdpError> {
        Description::parse_with(bytes, &Limits::DEFAULT)
    }

    /// As [`Description::parse`], with other limits.
    pub fn parse_with(bytes: Bytes, limits: &Limits) -> Result<Description, SdpError> {
        if bytes.len() > limits.sdp {
            return Err(SdpError::TooLarge);
        }
        read(&bytes, limits)?;
        Ok(Description { bytes, mark: 0 })
    }

    /// The same with a mark that says whose it is; edits keep it, comparisons do not look at it.
    pub fn marked(self, mark: u64) -> Description {
        Description { mark, ..self }
    }

    /// The mark; 0: none.
    pub fn mark(&self) -> u64 {
        self.mark
    }

    /// How the first live audio line, or the first audio line of all, wants to be protected.
    pub fn protection(&self) -> Protection {
        let parts = self.parts();
        let mut audio = parts.sections.iter().filter(|section| section.audio);
        let section = audio.clone().find(|section| section.is_live()).or_else(|| audio.next());
        match section.map(|section| section.protection) {
            Some(_) if parts.fingerprint => Protection::Dtls,
            Some(protection) => protection,
            None => Protection::None,
        }
    }

    /// The octets.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// They could be read once; were that not so, there would be nothing in them.
    fn parts(&self) -> Parts {
        read(&self.bytes, &ANY_SIZE).unwrap_or_else(|_| Parts::new(self.bytes.len()))
    }

    /// The direction of the first live audio line; of the first live line of any kind when there is no audio;
    /// inactive when nothing is live. The session's direction is the default (RFC 8866 §6.7), and `c=0.0.0.0` is the
    /// hold of RFC 2543 (RFC 3264 §8.4).
    pub fn direction(&self) -> Direction {
        let parts = self.parts();
        let Some(section) = parts.main_section() else {
            return Direction::Inactive;
        };
        let null = |range: &Range<usize>| self.slice(range) == b"0.0.0.0";
        if section
            .connection
            .as_ref()
            .or(parts.connection.as_ref())
            .is_some_and(null)
        {
            return Direction::Inactive;
        }
        section.direction.or(parts.direction).unwrap_or_default()
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// Host and port of the first audio line, live or not; `None` when there is none or it has no address.
    pub fn media_address(&self) -> Option<(CompactString, u16)> {
        let parts = self.parts();
        let section = parts.sections.iter().find(|section| section.audio)?;
        let range = section.connection.as_ref().or(parts.connection.as_ref())?;
        let host = std::str::from_utf8(self.slice(range)).ok()?;
        Some((host.into(), section.port))
    }

    /// Number of m-lines.
    pub fn media_count(&self) -> usize {
        self.parts().sections.len()
    }

    /// The same description with this direction on every live m-line; the session-level attribute goes, everything
    /// else stays byte for byte.
    pub fn with_direction(&self, direction: Direction) -> Description {
        let parts = self.parts();
        let mut out = Vec::with_capacity(self.bytes.len() + 16 * parts.sections.len());
        copy_without_direction(&mut out, self.slice(&(0..parts.session_end)), None);
        for section in &parts.sections {
            let wanted = if section.is_live() {
                Some(direction)
            } else {
                // A refused line keeps what it said, also when only the session said it.
                section.direction
            };
            copy_without_direction(&mut out, self.slice(&section.range), wanted);
        }
        self.rebuilt(out)
    }

    /// The same description with our own origin: `o=- id version IN IP4 127.0.0.1` (RFC 8866 §5.2; the address of the
    /// edge is nobody's business, and the line is never used to reach anybody).
    pub fn with_origin(&self, id: u64, version: u64) -> Description {
        let origin = format!("o=- {id} {version} IN IP4 127.0.0.1");
        if let Some(replaced) = self.with_only_origin(&origin) {
            return replaced;
        }
        let mut out = Vec::with_capacity(self.bytes.len() + origin.len());
        let (mut written, mut in_session) = (false, true);
        let has_origin = self.session_lines().any(|line| line.kind == b'o');
        for line in lines(&self.bytes) {
            in_session &= line.kind != b'm';
            if in_session && line.kind == b'o' {
                if !written {
                    out.extend_from_slice(origin.as_bytes());
                    out.extend_from_slice(line.end_of_line);
                }
                written = true;
                continue;
            }
            out.extend_from_slice(line.whole);
            if !has_origin && !written && line.kind == b'v' {
                out.extend_from_slice(origin.as_bytes());
                out.extend_from_slice(b"\r\n");
                written = true;
            }
        }
        self.rebuilt(out)
    }

    /// The ordinary case: one o-line, which everything else stands behind. Nothing is read again.
    fn with_only_origin(&self, origin: &str) -> Option<Description> {
        let mut origins = self.session_lines().filter(|line| line.kind == b'o');
        let (old, None) = (origins.next()?, origins.next()) else {
            return None;
        };
        let (from, to) = (old.start, old.start + old.content.len());
        let mut out = Vec::with_capacity(self.bytes.len() - (to - from) + origin.len());
        out.extend_from_slice(self.slice(&(0..from)));
        out.extend_from_slice(origin.as_bytes());
        out.extend_from_slice(self.slice(&(to..self.bytes.len())));
        Some(Description {
            bytes: Bytes::from(out),
            mark: self.mark,
        })
    }

    /// What stands before and behind the first o-line.
    fn around_origin(&self) -> (&[u8], &[u8]) {
        let origin = self.session_lines().find(|line| line.kind == b'o');
        let (from, to) = origin.map_or((0, 0), |line| (line.start, line.start + line.content.len()));
        (self.slice(&(0..from)), self.slice(&(to..self.bytes.len())))
    }

    fn session_lines(&self) -> impl Iterator<Item = Line<'_>> {
        lines(&self.bytes).take_while(|line| line.kind != b'm')
    }

    /// Our own edits keep a description readable; should one not be, the edit is dropped rather than the call.
    fn rebuilt(&self, octets: Vec<u8>) -> Description {
        let rebuilt = Description::parse_with(Bytes::from(octets), &ANY_SIZE);
        rebuilt.map_or_else(|_| self.clone(), |rebuilt| rebuilt.marked(self.mark))
    }

    /// Whether the party looks for a path itself (RFC 8839 §5.4): browsers do.
    pub fn uses_ice(&self) -> bool {
        lines(&self.bytes).any(|line| line.content.starts_with(b"a=ice-ufrag:"))
    }

    /// Whether two descriptions are the same but for the origin and the directions: "each other's description".
    pub fn same_media(&self, other: &Description) -> bool {
        if self.around_origin() == other.around_origin() {
            return true; // as between the two sides of a call that nobody holds
        }
        let kept = |line: &Line<'_>| line.kind != b'o' && line.direction().is_none();
        lines(&self.bytes)
            .filter(kept)
            .map(|l| l.content)
            .eq(lines(&other.bytes).filter(kept).map(|l| l.content))
    }
}

impl PartialEq for Description {
    /// Whose it is does not count.
    fn eq(&self, other: &Description) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Description {}

/// Copies lines; the first direction attribute becomes `wanted` in its place, further ones go. Where there was none
/// `wanted` is added at the end.
fn copy_without_direction(out: &mut Vec<u8>, block: &[u8], wanted: Option<Direction>) {
    let mut wanted = wanted;
    for line in lines(block) {
        if line.direction().is_none() {
            out.extend_from_slice(line.whole);
        } else if let Some(direction) = wanted.take() {
            push_direction(out, direction, line.end_of_line);
        }
    }
    if let Some(direction) = wanted {
        if out.ends_with(b"\r") {
            out.push(b'\n'); // a body that was cut in its last line end
        } else if !out.ends_with(b"\n") {
            out.extend_from_slice(b"\r\n");
        }
        push_direction(out, direction, b"\r\n");
    }
}

fn push_direction(out: &mut Vec<u8>, direction: Direction, end_of_line: &[u8]) {
    out.extend_from_slice(b"a=");
    out.extend_from_slice(direction.as_str().as_bytes());
    out.extend_from_slice(if end_of_line.is_empty() { b"\r\n" } else { end_of_line });
}

fn read(bytes: &[u8], limits: &Limits) -> Result<Parts, SdpError> {
    let mut parts = Parts::new(bytes.len());
    let mut first = true;
    for line in lines(bytes) {
        if line.content.is_empty() && !first {
            // Blank lines at the end: the field has them.
            continue;
        }
        if line.kind == 0 {
            return Err(if first { SdpError::Version } else { SdpError::Line });
        }
        if first && line.content != b"v=0" {
            return Err(SdpError::Version);
        }
        first = false;
        if line.kind == b'm' {
            if parts.sections.len() >= limits.media_lines {
                return Err(SdpError::TooManyMedia);
            }
            match parts.sections.last_mut() {
                Some(before) => before.range.end = line.start,
                None => parts.session_end = line.start,
            }
            parts.sections.push(media(&line, bytes.len())?);
            continue;
        }
        let fingerprint = line.content.starts_with(b"a=fingerprint:");
        let (direction, connection) = match parts.sections.last_mut() {
            Some(section) => {
                section.bundle_only |= line.content == b"a=bundle-only";
                if fingerprint {
                    section.protection = Protection::Dtls;
                }
                (&mut section.direction, &mut section.connection)
            }
            None => {
                parts.fingerprint |= fingerprint;
                (&mut parts.direction, &mut parts.connection)
            }
        };
        if line.kind == b'c' && connection.is_none() {
            *connection = line.address();
        } else if let Some(found) = line.direction() {
            *direction = Some(found);
        }
    }
    if first { Err(SdpError::Version) } else { Ok(parts) }
}

/// `m=<media> <port>[/<count>] <proto> <fmt> …` (RFC 8866 §5.14).
fn media(line: &Line<'_>, end: usize) -> Result<Section, SdpError> {
    let mut words = line
        .value()
        .split(|octet| *octet == b' ')
        .filter(|word| !word.is_empty());
    let kind = words.next().ok_or(SdpError::Media)?;
    let port = words.next().and_then(|word| word.split(|octet| *octet == b'/').next());
    let port = port
        .and_then(|p| std::str::from_utf8(p).ok())
        .and_then(|p| p.parse().ok())
        .ok_or(SdpError::Media)?;
    let protection = match words.next().ok_or(SdpError::Media)? {
        b"RTP/SAVP" | b"RTP/SAVPF" => Protection::Keys,
        b"UDP/TLS/RTP/SAVP" | b"UDP/TLS/RTP/SAVPF" => Protection::Dtls,
        _ => Protection::None,
    };
    let range = line.start..end;
    Ok(Section {
        range,
        audio: kind == b"audio",
        port,
        bundle_only: false,
        direction: None,
        connection: None,
        protection,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=alice 2890844526 2890844526 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\n\
        t=0 0\r\na=sendrecv\r\na=x-odd:\u{e9}\r\nm=video 0 RTP/AVP 31\r\na=inactive\r\nm=audio 49170 RTP/AVP 0 101\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=sendonly\r\na=ptime:20\r\nm=video 51372 RTP/AVP 99\r\n";

    fn description(text: &str) -> Description {
        Description::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn text(description: &Description) -> String {
        String::from_utf8(description.bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_direction_is_that_of_the_first_live_audio_line() {
        assert_eq!(description(OFFER).direction(), Direction::SendOnly);
        assert_eq!(
            description(&OFFER.replace("a=sendonly\r\n", "")).direction(),
            Direction::SendRecv
        );
        let session = OFFER.replace("a=sendonly\r\n", "").replace("a=sendrecv", "a=recvonly");
        assert_eq!(description(&session).direction(), Direction::RecvOnly);
        assert_eq!(
            description(&OFFER.replace("49170", "0")).direction(),
            Direction::SendRecv
        );
        assert_eq!(description("v=0\r\ns=-\r\n").direction(), Direction::Inactive);
        let old_hold = OFFER.replace("c=IN IP4 198.51.100.1", "c=IN IP4 0.0.0.0");
        assert_eq!(description(&old_hold).direction(), Direction::Inactive);
    }

    #[test]
    fn a_new_direction_touches_nothing_else() {
        let held = description(OFFER).with_direction(Direction::Inactive);
        let wanted = OFFER.replace("a=sendrecv\r\n", "").replace("a=sendonly", "a=inactive") + "a=inactive\r\n";
        assert_eq!(text(&held), wanted);
        assert_eq!(held.direction(), Direction::Inactive);
        assert!(held.same_media(&description(OFFER)));
        // A body that ends without a line end, and one with bare LF.
        let bare = description("v=0\ns=-\nc=IN IP4 192.0.2.1\nm=audio 9 RTP/AVP 0\na=sendrecv");
        let wanted = "v=0\ns=-\nc=IN IP4 192.0.2.1\nm=audio 9 RTP/AVP 0\na=recvonly\r\n";
        assert_eq!(text(&bare.with_direction(Direction::RecvOnly)), wanted);
    }

    /// Found by `tests/fuzz`: the CR became part of the line before.
    #[test]
    fn a_body_that_was_cut_in_its_last_line_end_gets_no_second_one() {
        let cut = description("v=0\r\nm=audio 9 RTP/AVP 0\r");
        let turned = cut.with_direction(Direction::SendOnly);
        assert_eq!(text(&turned), "v=0\r\nm=audio 9 RTP/AVP 0\r\na=sendonly\r\n");
        assert!(turned.same_media(&cut));
    }

    #[test]
    fn a_new_origin_touches_nothing_else() {
        let ours = description(OFFER).with_origin(7, 8);
        let wanted = OFFER.replace(
            "o=alice 2890844526 2890844526 IN IP4 198.51.100.1",
            "o=- 7 8 IN IP4 127.0.0.1",
        );
        assert_eq!(text(&ours), wanted);
        assert!(ours.same_media(&description(OFFER)));
        assert!(!ours.same_media(&description(&OFFER.replace("49170", "49172"))));
        assert_eq!(
            text(&description("v=0\r\ns=-\r\n").with_origin(1, 2)),
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\n"
        );
    }

    #[test]
    fn the_media_address_is_that_of_the_audio_line() {
        assert_eq!(description(OFFER).media_address(), Some(("198.51.100.1".into(), 49170)));
        let own = OFFER.replace("a=ptime:20", "c=IN IP6 2001:db8::1");
        assert_eq!(description(&own).media_address(), Some(("2001:db8::1".into(), 49170)));
        assert_eq!(description("v=0\r\nm=video 5 RTP/AVP 1\r\n").media_address(), None);
        let cast = "v=0\r\nc=IN IP4 233.252.0.1/127\r\nm=audio 5 RTP/AVP 0\r\n";
        assert_eq!(description(cast).media_address(), Some(("233.252.0.1".into(), 5)));
    }

    #[test]
    fn what_is_no_description_is_refused() {
        let refused = |text: &str| Description::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap_err();
        assert_eq!(refused(""), SdpError::Version);
        assert_eq!(refused("v=1\r\n"), SdpError::Version);
        assert_eq!(refused("s=-\r\nv=0\r\n"), SdpError::Version);
        assert_eq!(refused("v=0\r\nnonsense\r\n"), SdpError::Line);
        assert_eq!(refused("v=0\r\nm=audio x RTP/AVP 0\r\n"), SdpError::Media);
        assert_eq!(refused("v=0\r\nm=audio 70000 RTP/AVP 0\r\n"), SdpError::Media);
        assert_eq!(
            refused(&("v=0\r\n".to_owned() + &"m=audio 1 RTP/AVP 0\r\n".repeat(17))),
            SdpError::TooManyMedia
        );
        assert_eq!(
            refused(&("v=0\r\ns=".to_owned() + &"x".repeat(33_000))),
            SdpError::TooLarge
        );
    }
}
