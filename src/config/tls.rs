//! Certificates and trust: what the file says of them. Whether the files can be used is for the driver to find out.

use super::fields::Fields;
use super::report::Problems;
use crate::engine::Network;
use crate::transport::Transport;

/// A certificate chain and its key, as the file names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFiles {
    /// The chain.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// Certificates, trust and origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// For listeners without their own; `None`: the edge signs one itself.
    pub identity: Option<PemFiles>,
    /// The folder in which the self-signed one is kept.
    pub state: Option<String>,
    /// Roots for connections of ours.
    pub ca: Option<String>,
    /// Whether the PBX's certificate is verified.
    pub verify_pbx: bool,
    /// Peers whose certificates are not.
    pub unverified: Vec<Network>,
    /// What we show to peers that ask for a certificate.
    pub clients: Vec<(Network, PemFiles)>,
    /// What we show to the PBX.
    pub pbx_identity: Option<PemFiles>,
    /// What each listener has of its own, in the order of the file.
    pub listeners: Vec<ListenExtras>,
}

/// What one listener has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenExtras {
    /// Its certificate.
    pub identity: Option<PemFiles>,
    /// Authorities of those that are let in; `None`: everybody.
    pub client_ca: Option<String>,
    /// Whose pages may open a WebSocket.
    pub origins: Vec<String>,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            identity: None,
            state: None,
            ca: None,
            verify_pbx: true,
            unverified: Vec::new(),
            clients: Vec::new(),
            pbx_identity: None,
            listeners: Vec::new(),
        }
    }
}

/// `[tls]`; peers and listeners add theirs.
pub(super) fn tls(file: &mut Fields<'_>, problems: &mut Problems) -> Tls {
    let mut tls = Tls::default();
    let Some(mut fields) = file.table("tls", "[tls]", problems) else {
        return tls;
    };
    tls.identity = identity(&mut fields, problems);
    let mut text = |key| fields.text(key, problems).map(|found| found.value.to_owned());
    tls.state = text("state");
    tls.ca = text("ca");
    fields.finish(problems);
    tls
}

/// `certificate` and `key`: both, or neither.
pub(super) fn identity(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<PemFiles> {
    let certificate = fields.text("certificate", problems);
    let key = fields.text("key", problems);
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(PemFiles {
            certificate: certificate.value.to_owned(),
            key: key.value.to_owned(),
        }),
        (Some(lonely), None) => {
            problems.add(lonely.span, "`certificate` without `key`", "add key = \"edge.key\"");
            None
        }
        (None, Some(lonely)) => {
            problems.add(
                lonely.span,
                "`key` without `certificate`",
                "add certificate = \"edge.pem\"",
            );
            None
        }
        (None, None) => None,
    }
}

/// What a listener has of its own; keys that its transport has no use for are refused.
pub(super) fn extras(fields: &mut Fields<'_>, transport: Option<Transport>, problems: &mut Problems) -> ListenExtras {
    let (tls, web) = match transport {
        Some(Transport::Udp | Transport::Tcp) => (false, false),
        Some(Transport::Tls) => (true, false),
        Some(Transport::Ws) => (false, true),
        Some(Transport::Wss) | None => (true, true),
    };
    if !tls {
        for key in ["certificate", "key", "client_ca"] {
            let what = format!("`{key}` has no meaning here");
            fields.refuse(key, &what, "listeners of tls and wss have certificates", problems);
        }
    }
    if !web {
        let hint = "listeners of ws and wss have origins";
        fields.refuse("origins", "`origins` has no meaning here", hint, problems);
    }
    let mut origins = Vec::new();
    if web && fields.has("origins") {
        for origin in fields.texts("origins", problems) {
            // RFC 6454 §6.2: scheme, host and port, and nothing after them.
            let host = origin.value.split_once("://").map(|(_, host)| host);
            if host.is_some_and(|host| !host.is_empty() && !host.contains('/')) {
                origins.push(origin.value.to_owned());
            } else {
                let what = format!("`{}` is no origin", origin.value.escape_debug());
                problems.add(
                    origin.span,
                    what,
                    "scheme and host, as in \"https://phones.example.test\"",
                );
            }
        }
    }
    let identity = if tls { identity(fields, problems) } else { None };
    let client_ca = if tls { fields.text("client_ca", problems) } else { None };
    ListenExtras {
        identity,
        client_ca: client_ca.map(|found| found.value.to_owned()),
        origins,
    }
}
