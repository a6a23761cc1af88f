//! A phone's side of offer and answer (RFC 3264), written apart from the edge's so that neither covers the other's errors.

use bytes::Bytes;

use super::config::PhoneConfig;
use super::web;
use crate::sdp::{Description, Direction, Protection};

/// The session of one call.
#[derive(Debug)]
pub(super) struct Session {
    id: u64,
    version: u64,
    /// The direction we last wrote down.
    local: Option<Direction>,
    remote: Option<Description>,
    /// Whether we hold the other side.
    pub(super) holding: bool,
    /// Whether the other side holds us.
    pub(super) held: bool,
    /// Our offer that waits for its answer.
    pending: Option<Pending>,
    /// Which ICE credentials it has, counted up with every restart.
    credentials: u32,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    offer: Direction,
    /// What held before it, and holds again if it fails.
    before: Option<Direction>,
}

fn sends(direction: Direction) -> bool {
    match direction {
        Direction::SendRecv | Direction::SendOnly => true,
        Direction::RecvOnly | Direction::Inactive => false,
    }
}

fn receives(direction: Direction) -> bool {
    match direction {
        Direction::SendRecv | Direction::RecvOnly => true,
        Direction::SendOnly | Direction::Inactive => false,
    }
}

fn direction(sends: bool, receives: bool) -> Direction {
    match (sends, receives) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

fn attribute(direction: Direction) -> &'static str {
    match direction {
        Direction::SendRecv => "sendrecv",
        Direction::SendOnly => "sendonly",
        Direction::RecvOnly => "recvonly",
        Direction::Inactive => "inactive",
    }
}

impl Session {
    pub(super) fn new(id: u64) -> Session {
        Session {
            id,
            version: 0,
            local: None,
            remote: None,
            holding: false,
            held: false,
            pending: None,
            credentials: 0,
        }
    }

    pub(super) fn local(&self) -> Option<Direction> {
        self.local
    }

    pub(super) fn remote(&self) -> Option<&Description> {
        self.remote.as_ref()
    }

    /// Whether our offer waits for its answer.
    pub(super) fn is_offering(&self) -> bool {
        self.pending.is_some()
    }

    /// Our offer (RFC 3264 §5, §8.4): a side that is held and holds says `inactive`; a held side that does not, `recvonly`.
    pub(super) fn offer(&mut self, config: &PhoneConfig, holding: bool) -> Bytes {
        let wish = direction(!self.held, !holding);
        self.pending = Some(Pending {
            offer: wish,
            before: self.local,
        });
        self.describe(config, wish)
    }

    /// The other side's answer to our offer. Returns what is wrong with it.
    pub(super) fn answered(&mut self, answer: Description) -> Option<String> {
        let Some(Pending { offer, .. }) = self.pending.take() else {
            return Some("an answer came to no offer".to_owned());
        };
        let theirs = answer.direction();
        if sends(offer) {
            self.held = !receives(theirs);
        }
        self.holding = !receives(offer);
        let beyond = (sends(theirs) && !receives(offer)) || (receives(theirs) && !sends(offer));
        let wrong = self.take(answer);
        let mirror = beyond.then(|| {
            format!(
                "offer {} was answered {}: RFC 3264 §6.1",
                attribute(offer),
                attribute(theirs)
            )
        });
        mirror.or(wrong)
    }

    /// Our offer failed or was withdrawn; everything is as before (RFC 6141 §3).
    pub(super) fn roll_back(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.local = pending.before;
        }
    }

    /// The other side's offer. Returns what is wrong with it.
    pub(super) fn offered(&mut self, offer: Description) -> Option<String> {
        self.held = !receives(offer.direction());
        if let (Some(before), Some(now)) = (self.remote.as_ref().and_then(ufrag), ufrag(&offer))
            && before != now
        {
            self.credentials += 1;
            self.local = None; // the description changes, whatever its direction
        }
        self.take(offer)
    }

    /// Our answer to the latest offer: never outside its mirror (RFC 3264 §6.1), unless the script says so.
    pub(super) fn answer(&mut self, config: &PhoneConfig, ignore_direction: bool) -> Bytes {
        let offer = self.remote.as_ref().map_or(Direction::SendRecv, Description::direction);
        let answer = match ignore_direction {
            true => Direction::SendRecv,
            false => direction(receives(offer), sends(offer) && !self.holding),
        };
        self.describe(config, answer)
    }

    // RFC 3264 §8: one session id for the dialog's life; the version goes up with every change. By more than one when an
    // offer in between was refused, which is why "by one" is not checked.
    fn take(&mut self, description: Description) -> Option<String> {
        let previous = self.remote.replace(description.clone())?;
        if let Some(changed) = web::changed(&previous, &description) {
            return Some(changed);
        }
        let (old_id, old_version) = origin(&previous)?;
        let Some((id, version)) = origin(&description) else {
            return Some("a description without a readable o= line".to_owned());
        };
        let same = previous.bytes() == description.bytes();
        if id != old_id {
            Some(format!(
                "session id {old_id} became {id} within the dialog: RFC 3264 §8"
            ))
        } else if !same && version <= old_version {
            Some(format!("session version {old_version} became {version}: RFC 3264 §8"))
        } else {
            None
        }
    }

    fn ice(&self, config: &PhoneConfig) -> String {
        let (user, id, generation) = (&config.user, self.id, self.credentials);
        format!("a=ice-ufrag:{user}{id}u{generation}\r\na=ice-pwd:{user}{id}andatleasttwentytwo{generation}\r\n")
    }

    fn describe(&mut self, config: &PhoneConfig, direction: Direction) -> Bytes {
        if self.local != Some(direction) {
            self.version += 1;
            self.local = Some(direction);
        }
        if config.browser {
            let offer = self.remote.as_ref().filter(|_| self.pending.is_none());
            return web::describe(config, (self.id, self.version), direction, offer);
        }
        let (host, port) = (config.media.ip(), config.media.port());
        let family = if host.is_ipv4() { "IP4" } else { "IP6" };
        Bytes::from(format!(
            "v=0\r\no={user} {id} {version} IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n{ice}a={attribute}\r\n",
            ice = if config.ice { self.ice(config) } else { String::new() },
            user = config.user,
            id = self.id,
            version = self.version,
            attribute = attribute(direction),
        ))
    }
}

/// The ICE user name fragment (RFC 8839 §5.4).
fn ufrag(description: &Description) -> Option<String> {
    let text = std::str::from_utf8(description.bytes()).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("a=ice-ufrag:"))
        .map(str::to_owned)
}

/// Whether this phone speaks the transport protocol of an offer.
pub(super) fn speaks(config: &PhoneConfig, offer: &Description) -> bool {
    match offer.protection() {
        Protection::None => !config.browser,
        Protection::Keys => false,
        Protection::Dtls => config.browser,
    }
}

/// Session id and version of the o= line (RFC 8866 §5.2).
fn origin(description: &Description) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(description.bytes()).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("o="))?;
    let mut words = line.split_ascii_whitespace().skip(1);
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}
