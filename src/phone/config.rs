//! What a phone is told before its first message, and the script that makes it misbehave on purpose.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// How a phone's messages travel: its `Via`, its `Contact` and whether it retransmits follow from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PhoneTransport {
    /// Datagrams: requests are retransmitted (RFC 3261 §17.1).
    #[default]
    Udp,
    /// A stream to the edge, kept open by whoever moves the bytes.
    Tcp,
    /// The same over TLS.
    Tls,
    /// A WebSocket to the edge (RFC 7118).
    Ws,
    /// The same over TLS.
    Wss,
}

impl PhoneTransport {
    /// The token of `Via`.
    pub fn as_str(self) -> &'static str {
        match self {
            PhoneTransport::Udp => "UDP",
            PhoneTransport::Tcp => "TCP",
            PhoneTransport::Tls => "TLS",
            PhoneTransport::Ws => "WS",
            PhoneTransport::Wss => "WSS",
        }
    }
}

/// Who a phone is and where it stands.
#[derive(Clone)]
pub struct PhoneConfig {
    /// User part of its address of record, and its digest username.
    pub user: String,
    /// Its digest password.
    pub password: String,
    /// Host part of its address of record.
    pub domain: String,
    /// Where its messages come from; written into `Via` and `Contact`.
    pub address: SocketAddr,
    /// Where all its messages go.
    pub edge: SocketAddr,
    /// Where it wants to be sent audio; no two phones of a test share one, so that a description names its phone.
    pub media: SocketAddr,
    /// How its messages travel.
    pub transport: PhoneTransport,
    /// Whether it describes itself as a browser does (ICE, DTLS-SRTP, BUNDLE) and takes nothing else; else RTP/AVP only.
    pub browser: bool,
    /// Whether it says and does `replaces` (RFC 3891).
    pub replaces: bool,
    /// Whether it says `Allow: REFER` and obeys a REFER by calling the target.
    pub refer: bool,
    /// Whether it says and does `timer` (RFC 4028), and how.
    pub timer: Option<super::timer::PhoneTimer>,
    /// Whether it says `Allow: UPDATE` and takes it (RFC 3311).
    pub update: bool,
    /// Whether it looks for a path itself, as browsers do: its description has ICE credentials, and new ones whenever it is
    /// offered new ones (RFC 8839 §4.4.1.1.1).
    pub ice: bool,
    /// Makes its tags, Call-IDs and branches differ from those of other phones of the same user.
    pub seed: u64,
}

impl PhoneConfig {
    /// A phone over UDP that supports everything. Its media address is a port of its own beside its signalling address.
    pub fn new(user: &str, password: &str, domain: &str, address: SocketAddr, edge: SocketAddr) -> PhoneConfig {
        let port = 16_384 + (address.port() % 20_000) * 2;
        PhoneConfig {
            user: user.to_owned(),
            password: password.to_owned(),
            domain: domain.to_owned(),
            address,
            edge,
            media: SocketAddr::new(address.ip(), port),
            transport: PhoneTransport::Udp,
            browser: false,
            replaces: true,
            refer: true,
            timer: None,
            update: false,
            ice: false,
            seed: u64::from(address.port()),
        }
    }

    /// Its address of record: `sip:user@domain`.
    pub fn aor(&self) -> String {
        format!("sip:{}@{}", self.user, self.domain)
    }

    /// Its contact: `sip:user@address`, with the transport where that is not UDP.
    pub fn contact(&self) -> String {
        match self.transport {
            PhoneTransport::Udp => format!("sip:{}@{}", self.user, self.address),
            PhoneTransport::Tcp => format!("sip:{}@{};transport=tcp", self.user, self.address),
            PhoneTransport::Tls => format!("sip:{}@{};transport=tls", self.user, self.address),
            PhoneTransport::Ws | PhoneTransport::Wss => format!("sip:{}@{};transport=ws", self.user, self.sent_by()),
        }
    }

    /// What it calls itself in `Via`. A browser does not know its address and makes up a name (RFC 7118 §5.2.2).
    pub fn sent_by(&self) -> String {
        match self.transport {
            PhoneTransport::Udp | PhoneTransport::Tcp | PhoneTransport::Tls => self.address.to_string(),
            PhoneTransport::Ws | PhoneTransport::Wss => format!("phone{:x}.invalid", self.seed),
        }
    }
}

impl fmt::Debug for PhoneConfig {
    // Everything but the password: a failing test prints its phones.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhoneConfig")
            .field("aor", &self.aor())
            .field("address", &self.address)
            .field("edge", &self.edge)
            .field("media", &self.media)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// What a phone does by itself, and what it does wrong on purpose. Changed at any time through
/// [`Phone::script`](super::Phone::script).
#[derive(Clone, Debug)]
pub struct Script {
    /// Answer an INVITE with 180.
    pub ring: bool,
    /// Answer an INVITE with 200 after this time.
    pub auto_answer: Option<Duration>,
    /// Answer every new INVITE with this final status instead.
    pub reject_with: Option<u16>,
    /// Answer every new INVITE with 302 and this Contact.
    pub forward_to: Option<String>,
    /// What becomes of the next re-INVITEs, first one first; when empty they are answered as they should be.
    pub reinvites: VecDeque<ReinviteAnswer>,
    /// Send BYE the moment the ACK of our 200 is in.
    pub hang_up_on_ack: bool,
    /// Send BYE when a final NOTIFY says 200, as most desk phones do.
    pub hang_up_on_success: bool,
    /// Leave every NOTIFY unanswered.
    pub ignore_notify: bool,
    /// Answer every NOTIFY with this status instead of 200.
    pub notify_answer: Option<u16>,
    /// Answer every REFER with this final status instead of obeying it.
    pub refer_answer: Option<u16>,
    /// Accept a REFER and then never report (its subscription ends without an outcome).
    pub refer_without_report: bool,
    /// Leave every BYE unanswered.
    pub ignore_bye: bool,
    /// Leave every message unanswered and unsent: the cable is out.
    pub unplugged: bool,
    /// Answer an offer `sendonly` with `sendrecv`, as broken phones do. Off: always within the mirror (RFC 3264 §6.1).
    pub ignore_direction: bool,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            ring: true,
            auto_answer: None,
            reject_with: None,
            forward_to: None,
            reinvites: VecDeque::new(),
            hang_up_on_ack: false,
            hang_up_on_success: false,
            ignore_notify: false,
            notify_answer: None,
            refer_answer: None,
            refer_without_report: false,
            ignore_bye: false,
            unplugged: false,
            ignore_direction: false,
        }
    }
}

/// What becomes of one re-INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReinviteAnswer {
    /// This final status.
    Status(u16),
    /// No answer at all.
    Silence,
    /// The right answer, so that a later one can be scripted.
    Right,
}
