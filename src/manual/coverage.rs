//! RFC coverage by section: what stands in this version, and what does not.
//!
//! **stands**: done, and tested. **partly**: what is missing is said. **not yet**: nothing of it; what the edge answers
//! instead is said. A row changes in the commit that changes the code.
//!
//! # Core
//!
//! | RFC | section | what | |
//! |---|---|---|---|
//! | 3261 | §7, §25 | messages: compact forms, folding, any method, octets that are not UTF-8; every vector of RFC 4475 and 5118 | stands |
//! | 3261 | §8.1.3.4 | 3xx of a registered phone is followed, by its user's dialling rights; of others it goes back to the caller | stands: contacts at once, q is not looked at |
//! | 3261 | §8.1, §8.2 | UAC and UAS: 405, 415, 416, 420, 481, 501 with their headers | stands |
//! | 3261 | §9 | CANCEL, also before a provisional response has come | stands |
//! | 3261 | §10.3 | registrar; bindings are reached on the flow they came from | stands |
//! | 3261 | §10.3 step 1 | forwarding REGISTER for foreign domains | not yet: 404, the edge is no relay |
//! | 3261 | §11 | OPTIONS to the edge, in and outside of dialogs, and any with Max-Forwards 0 | stands |
//! | 3261 | §12 | dialogs, route sets, target refresh | stands |
//! | 3261 | §13 | INVITE, each early dialog of its own, forking 2xx, offer in 2xx and ACK | stands |
//! | 3261 | §14 | re-INVITE, 491 and its times | stands |
//! | 3261 | §15 | BYE, in early dialogs too | stands |
//! | 3261 | §16 | proxying outside of dialogs: to the PBX, to a flow, to every binding of a user with the best answer (§16.7); Max-Forwards, Proxy-Require, Route, strict routers before us (§16.4) | stands |
//! | 3261 | §16 | proxying of subscriptions between phone and PBX, both ways; two Record-Routes where the sides differ (RFC 5658) | stands |
//! | 3261 | §17 | the four transactions | stands |
//! | 3261 | §18 | UDP, TCP, TLS; stream framing, received, sent-by; above 1,300 octets TCP to PBX and routes, with UDP as the way back: our requests, what the proxy splices, ACKs | stands |
//! | 3261 | §19.1.4, §19.1.5 | comparison of URIs; only `Replaces` is taken from a URI's headers | stands |
//! | 3261 | §20.10 | q, expires of a contact | stands |
//! | 3261 | §22 | digest on both sides; credentials go to the configured PBX, or a trunk in its realm, only; requests inside dialogs too | stands |
//! | 3261 | §26 | TLS 1.2 and 1.3, both directions; names and roots verified; `sips:` by TLS on every hop or 480 with Warning 380; certificates of clients, ours and theirs; renewed ones without a restart | partly: a phone that registered `sip:` over TLS is rung for `sips:` under its own contact |
//! | 3262 | §3–5 | PRACK, 100rel: on both sides, in order, repeated; a 2xx waits for the PRACK of an answer | stands: an offer in a reliable 18x is not asked for; one in a PRACK is answered with what the caller has |
//! | 3263 | §4.1, §4.2 | NAPTR, SRV by priority and weight, addresses: host names of the configuration, again when their records end; hosts of `[edge] reach`, Route and Record-Route values, Contacts of places that we called | stands |
//! | 3263 | §4.3 | the next place on 503, silence or a failed flow, under another branch; what failed is tried last for a while | stands: at most four places a request |
//! | 3263 | §5 | where a response goes when its connection has gone: sent-by's port at the source | partly: a sent-by that is a name is not looked up |
//! | 3264 | §5, §6.1, §8, §8.4 | offer/answer, directions, hold | stands |
//! | 3311 | §5 | UPDATE in confirmed dialogs, passed on by UPDATE or re-INVITE; 491, 500 | partly: in early dialogs only without a description; an offer gets 500 or 491 while one is open, else 504, because the callee would have to agree before it picks up (§5.2) |
//! | 3326 | | Reason | not yet: passed through on what passes through |
//! | 3581 | §4 | rport | stands |
//! | 4028 | §7–10 | session timers: each leg by itself, refresher either way, 422 both ways, BYE when nobody refreshes | stands |
//! | 4320 | | no 408 to non-INVITE | stands |
//! | 6026 | | Accepted, timers L and M | stands |
//! | 6141 | §3 | a refused re-INVITE changes nothing | stands |
//! | 6337 | §5.1–5.3 | offers without SDP, hold | stands |
//!
//! # Transfer
//!
//! | RFC | section | what | |
//! |---|---|---|---|
//! | 3515 | §2.4 | REFER in dialogs, both directions; outside of dialogs with Target-Dialog | stands; outside without it 403 |
//! | 3420 | | sipfrag: its status line | stands |
//! | 6665 | §4.1, §4.2 | the subscription of a REFER | partly: no refresh by SUBSCRIBE |
//! | 7647 | §3–5 | 202 is sent, 200 to a GRUU or as configured per peer; both are understood; a REFER outside of dialogs is served | partly: ours to a GRUU still goes in the dialog |
//! | 3891 | §3–5 | every row of its table | stands |
//! | 3892 | §2–3 | Referred-By is passed on, of this REFER only | partly: no signed tokens |
//! | 4488 | §4 | `Refer-Sub: false` | stands |
//! | 4538 | §4–6 | Target-Dialog in REFER: both tags, the same party; NOTIFYs in the dialog that the REFER made | stands |
//! | 7614 | §4 | nosub | stands: 200 and no NOTIFY |
//! | 7614 | §4 | explicitsub | not yet: `Require` gets 420, no Refer-Events-At |
//! | 3725 | §4 | third-party control: a flow of its own, see [`super::decisions`] | stands |
//! | 3911 | §3–5 | Join of a party of a pair or hub, `Supported: join`; 400, 481, 603, 403 and 488 (full) as §4 | stands: confirmed dialogs only |
//! | 4353 | §3, §5 | a focus with its mixer, by the native API | partly: no conference URI, no conference package (4575), no policy protocol |
//! | 4579 | §5.1–5.5 | a focus calls parties, is called, and is sent REFER | partly: no `isfocus`; a REFER inside a dialog gives the referrer's place away, as a transfer does |
//! | 5589 | §6, §7.1–7.3, §7.6, §7.7, §8 | blind, attended, semi-attended, with Referred-By | stands |
//! | 5589 | §7.4 | recovery when one party does not support REFER | stands: the edge joins by itself |
//! | 5589 | §7.5 | the consult's address of record rings several phones | stands |
//! | 5589 | §9 | transfer as an ad hoc conference | stands: pair to hub, third party, the transferor leaves or has its place taken by REFER |
//! | 5589 | §10 | several parties, one transfer behind the other | stands |
//! | 5589 | §11.1 | two lines of one gateway are handed back to it | stands: mode `auto`, where it knows REFER and Replaces |
//! | 5589 | §11.2 | a consultation that is given up as it is answered | stands |
//! | 5359 | §2.1, §2.2, §2.4, §2.5 | hold, consultation hold, transfer unattended and attended | stands |
//! | 5359 | §2.3 | music on hold | stands: the edge plays it to the held party; `hold_music`, prompts by name |
//! | 5359 | §2.7–2.9 | call forwarding: unconditional, busy, no answer | stands: the phone says so by 302, of calls and of transfers |
//! | 5359 | §2.10, §2.11 | three-way conferences: a third party is called in, a third party joins | stands: by the API, and by INVITE with Join |
//! | 5359 | §2.15 | call park: to a park server and back | stands, as far as it is signalling |
//! | 5359 | §2.16 | call pick-up by INVITE with Replaces | stands: of one's own calls, of others' with `[transfer] pick_up`; no dialog package, so a phone learns of the call elsewhere |
//! | 5359 | §2.18 | click to dial: `POST /v1/calls` | stands |
//! | 4235 | | dialog package | not yet |
//!
//! # Registration and edge
//!
//! | RFC | section | what | |
//! |---|---|---|---|
//! | 3327 | §5.1 | Path with a sealed flow token, `Supported: path` added where the phone forgot it | stands |
//! | 3327 | §5.3 | the local registrar keeps Path and uses it as Route | stands |
//! | 5626 | §4.4.1 | CRLF keepalive | stands |
//! | 5626 | §4.4.2 | STUN keepalive over UDP | stands |
//! | 5626 | §5 | edge: flow token, `ob` over streams, 403 for a forged token, 430 for a flow that has gone | stands |
//! | 5626 | §6 | registrar: reg-id with instance names a binding, `Require: outbound`, `Flow-Timer` over streams | stands |
//! | 5627 | | GRUU | not yet |
//! | 7616, 8760 | | SHA-256 before MD5, one header each; sealed nonces of 60 s; nonce-count window | stands: qop `auth` only, no `auth-int`, no userhash, no session algorithms |
//! | 7118 | §4–8 | SIP over WebSocket, ws and wss: subprotocol, text and binary frames, ping and CRLF keepalive, origins | stands: the edge is a server, it opens none |
//! | 3325 | | asserted identity | not yet: passed through |
//! | 5806 | §5 | Diversion: passed through, added where the edge follows a phone's 302, stops circles | stands |
//! | 7044 | | History-Info | not yet: passed through |
//! | 5393 | §4, §5 | a mark in the branch of what is proxied (482), Max-Breadth shared among forks of requests and calls (440) | stands: calls get a dialog of their own each, so they loop until Max-Forwards or breadth is used up |
//! | 5630 | §5 | sips: 480 with Warning 380 where TLS would end | partly: no `SIPS Required` of our own |
//!
//! # Media
//!
//! None: descriptions pass, media goes from party to party. The edge reads and writes directions and origin lines
//! (RFC 8866, RFC 3264) and leaves every other line as it came.
