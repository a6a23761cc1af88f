//! Where a call's packets go, and how that changes while it lasts.
//!
//! # Three ways
//!
//! | way | packets | descriptions | when |
//! |---|---|---|---|
//! | direct | from party to party | pass octet for octet | nothing needs the edge: two phones, or two browsers |
//! | relay | through the edge, not decoded where both sides have a codec in common | the edge's own, towards each party | `mode = "relay"`, a peer with `media = "relay"`, a recording, hold music |
//! | gateway | the same, with ICE and DTLS-SRTP towards one party and RTP or SDES-SRTP towards the other | the same, in the words of each party | a browser and a phone |
//!
//! A call moves from one way to another with the offers that pass anyway: the re-INVITE of a hold brings it to the edge where
//! there is music to be heard, the one that takes the party back lets it go again. A browser that the edge has once described
//! stays with it: its SSRC, its `mid` and its m-lines are the same for its whole call, whoever is behind it.
//!
//! # Two halves
//!
//! ```text
//! engine's thread                                   media thread
//! leg::media  ── which way? ──▶ media::describe     media::sessions ──▶ sockets
//!    │  our description, ports, keys                    ▲       │
//!    └───────────── MediaCommand ───────────────────────┘       │
//!    ◀───────────── MediaEvent ─────────────────────────────────┘
//! ```
//!
//! What a leg's end *is* is said whole each time ([`MediaCommand::Endpoint`](crate::media::MediaCommand)), and whom its party
//! hears ([`Hear`](crate::media::Hear)). So a transfer is one word for the packets: the customer's end hears another leg
//! from now on. The customer's phone sees one stream: its SSRC, sequence numbers and timestamps are the end's own.
//!
//! # Whom the edge believes
//!
//! | what | believed |
//! |---|---|
//! | an address of plain RTP | the described one; with NAT the first packet from the described or the signalling host, once |
//! | an address of SRTP | the same, after the packet is authenticated |
//! | an address behind ICE | one whose STUN check carried the right password, and nominated it |
//! | a DTLS hello | from such an address only; the certificate must be the described one |
//! | a packet that came before | never again (RFC 3711 §3.3.2) |
//!
//! Everything else is counted (`quality.refused`) and neither answered nor passed on.
//!
//! # What is heard on hold
//!
//! `hold_music` names a file, or `builtin`; a hold through the API may name a `[[prompt]]`. A file is decoded once at the
//! start; each 20 ms of it are encoded once per codec, however many listen. A file that is missing is a warning at the start,
//! and silence.
//!
//! # What is recorded
//!
//! What the API orders, and by policy: `[media] record = "all"` records every call on its caller's leg, `[[peer]] record =
//! true` every leg of that peer. Such calls pass through the edge from their first offer on, and a transferred caller's
//! recording goes on. Left is what the party says, right what it hears.
//!
//! # What is not there
//!
//! One audio line is carried: others are answered with port 0, so that video through the edge is refused rather than
//! half-working. No full ICE: the edge has to be reachable at its address. In-band tones of a party are not detected.
