//! Decisions: what was chosen where the plan left it open, or where a wall of the plan was moved, and why.
//!
//! One heading a decision, the newest last. An entry says what was decided, what it was weighed against, and what would
//! make us look at it again. Whoever moves a wall adds the entry in the same commit.
//! What concerns several nodes stands in [`cluster`].
//!
//! ## No `webrtc` dependency until the media rooms need it
//!
//! The project's owner asked for the `webrtc` crate. This version moves no media: descriptions pass from party to party
//! and the packets go directly between them. A dependency that nothing calls costs every build and every audit, so it
//! comes in with the first room that uses it (`media/`: ICE and DTLS-SRTP for browsers). What was found about its
//! sans-IO core when it was tried stays in the project's notes on dependencies.
//!
//! ## A room `phone`
//!
//! The plan of the house knows no phone. Three places need one: `warmline demo` shows a transfer without any other
//! program, the tests in virtual time need parties that hold, refer and hang up on command, and an embedding host wants an
//! example to start from. Three half-phones would drift apart. So `phone` is one scripted softphone, sans-IO like the
//! engine, and it imports `sip` and `sdp` only: if it shared the dialog or transaction rooms with the edge, a mistake in
//! one would be made by both sides of the test and cancel out.
//!
//! ## `engine::Settings` is the checked form of the configuration, and `config` builds it
//!
//! The plan has imports go `engine` ← `api`, and `config` beside it. The engine must be told what it serves, yet must not
//! know files. So the type of what it is told belongs to the engine ([`crate::engine::Settings`]), `config` reads the
//! text and builds it, and an embedding host builds it by hand. `config` therefore stands above `engine`; `driver`, `api`
//! and `cli` may import it. Rooms below the engine take small structs of their own
//! ([`crate::registrar::RegistrarConfig`], [`crate::proxy::ProxyConfig`]), so that a test of one room states only what
//! that room reads.
//!
//! ## A room `vocabulary`
//!
//! The plan puts handles with the rooms that own their objects, and `Command`, `Event` and views into the engine. But a leg,
//! a call and a transfer must say what happened in the very words in which the API tells it, and none of them may import
//! the engine. So the words lie below `leg` and have no behaviour; the engine re-exports all of them, and an embedding
//! host imports them from there. `sdp` may name `sip` for the parser's limits, never the other way round.
//!
//! ## Local tags are sealed
//!
//! Firm in the plan, and written down here because it surprises: a To or From tag of this edge is no random text but
//! node, slot and generation of the leg under a 64-bit keyed MAC. A request inside a dialog is matched by decoding its tag
//! and comparing Call-ID and remote tag. What is gained: no map to look in, no lock, no growth with the number of
//! dialogs, and a forged tag dies before any table is touched. What it costs: the key must be kept as long as dialogs
//! live, and be the same on every node of a cluster. Via branches, flow tokens and digest nonces are made the same way, each
//! with a key of its own that the engine derives from the cluster's: what a stranger may have signed for one purpose
//! must not open for another.
//!
//! ## The join re-offers each side the other's description, instead of RFC 3725 flow I
//!
//! To join customer and consult, each must get the other's session description. RFC 3725 §4.1 does it with one chain: an
//! INVITE without a body to one side, its offer from the 2xx to the other side, the answer back in the ACK. While the
//! other side thinks, a 2xx hangs without its ACK and is retransmitted; and if the other side answers 491, the chain has
//! to be answered with something invented and begun again.
//!
//! Both parties of a transfer have a description already. So the edge sends each side a re-INVITE that carries the
//! description which the other last gave. Each re-INVITE is a complete transaction: it is acknowledged the moment it is
//! answered, a 491 is retried alone after the times of RFC 3261 §14.1 (LESSONS 24), and a refusal leaves the session as
//! it was (RFC 6141 §3). If an answer says something else than the offer was made from (another port, a codec less), the
//! side that was offered the old text is offered the new one. What it costs: one re-INVITE more in that case. To look at again: parties that
//! refuse any offer which is not a subset of what they had.
//!
//! ## Benches are plain loops
//!
//! `benches/` holds programs without a harness. A loop of their own takes the median of many rounds, and the same
//! program under `callgrind` counts instructions: that number is the same on a busy machine with two shared cores, where
//! a statistical harness sees mostly its neighbours. No dependency is needed for either.
//!
//! ## Digest: the nonce is sealed, and only its count is remembered
//!
//! A nonce carries its time and source under the key, so a challenge costs no memory and a flood of unauthenticated
//! requests leaves nothing behind. What cannot be done without memory is to refuse the same credentials a second time:
//! that needs the nonce-count (RFC 7616 §5.12). It is kept per nonce, only after credentials were found to be right, for
//! the minute that the nonce lives, and bounded. A client that always says `nc=00000001` is not locked out: it is
//! challenged with `stale=true` and comes back with the new nonce.
//!
//! ## In `through` mode the PBX's 2xx is believed, not the phone's REGISTER
//!
//! The edge must know on which flow a contact is, and no more: the PBX decides who is registered. So it learns from the
//! 2xx alone, which lists every binding (RFC 3261 §10.3 step 8): a contact of the request that is listed is bound to its
//! flow for the time that was granted, and one that is listed no more is forgotten. Weighed against reading the request:
//! a refused REGISTER would have moved a flow. A PBX with NAT rules may write another host into the contacts that it
//! lists; then the user part names the contact.
//!
//! ## The proxy passes to known places only
//!
//! RFC 3261 §16.5 lets a proxy resolve any Request-URI. This one forwards to the PBX, to a flow that the edge has sealed,
//! and to a binding, and refuses the rest. Whoever could make it resolve hosts could use it as a relay and to look behind
//! a firewall. For the same reason a phone along a sealed Route reaches the PBX and never another phone's flow.
//!
//! ## Outbound is kept over streams, not over UDP
//!
//! RFC 5626 asks of a registrar that says `outbound` to answer the keepalive: CRLF over streams, STUN over UDP. This
//! version answers CRLF. So a `reg-id` names a binding over TCP, TLS and WebSocket, and is ignored over UDP, as §6 has it
//! for a registrar without outbound: the phone sees that `Require: outbound` is missing and goes on as an ordinary one.
//!
//! ## A room `vocabulary` below `leg`
//!
//! The plan puts `Event` and `Command` into `engine`, at the top. But a leg, a call and a transfer are the ones who know
//! what happened, and imports go one way: they would each need an event type of their own and the engine three
//! translations of it. So handles, orders, events and views lie in `vocabulary`, which owns no behaviour, and `engine`
//! re-exports them: whoever embeds the engine imports everything from there.
//!
//! ## The layers own each other
//!
//! `Engine` owns `Transfers`, which owns `Calls`, which owns `Legs`, which owns `Transactions`. A layer orders the lower
//! one by a method call and hears of it through one queue, `Legs::reports`, which `engine/settle.rs` empties: each report
//! goes to the leg's one owner. This replaces "drain after every mutation" by a loop that every input ends in, and the
//! borrow checker refuses a lower layer that wants to reach up.
//!
//! ## Whoever hung up first is still told
//!
//! A phone that sends BYE right after its REFER (LESSONS 3) has ended its INVITE usage, and with it most phones forget
//! the dialog; RFC 5057 §3 has the subscription live on. The last NOTIFY is sent to it all the same: a phone that kept the
//! subscription learns the outcome, one that did not answers 481, which ends the subscription and nothing else (LESSONS
//! 23). Nobody waits for that answer. After a BYE of *ours* no NOTIFY follows: that dialog is over by our own word.
//!
//! ## NOTIFYs of one subscription go one after the other
//!
//! RFC 6665 allows to send the next NOTIFY while the last is unanswered. Over UDP the two can then change places, and a
//! phone that gets `100` behind `terminated` answers 481 or 500. So one is out at a time, the newest report waits, and the
//! guard timer (4 s) bounds what a phone can delay that answers none.
//!
//! ## What `auto` means for a transfer
//!
//! `refer` is chosen when the transferee allows REFER and, for an attended transfer, supports `replaces` and sits behind
//! the same next hop as the target: only then can the dialog that Replaces names be reached from there. A REFER that is
//! refused falls back to `native` (RFC 5589 §7.4). A REFER that was accepted and then failed does not: the target may have
//! rung already, and its owner should learn what it said.
//!
//! ## API hold tells the other side too
//!
//! A phone that holds knows that it does. When an API client holds a customer, the operator's phone would go on sending
//! to somebody who is not to hear it. So the held party is offered `sendonly` (or `inactive`), and the other side
//! `inactive`; resuming offers both `sendrecv`. With the media rooms the first will carry music.
//!
//! ## Join makes a hub
//!
//! RFC 3911: the dialog that is named is one of a pair, which becomes a hub for it, or of a hub, which grows. Who may is who
//! could take that party's place by Replaces: the same user, a trusted peer. A dialog that is not answered yet is 481, a full
//! hub 488.
//!
//! ## A hub's member talks with the edge's own voice
//!
//! A party of a hub has no one other side whose description it could be told. It is told the edge's: one fixed description
//! (Opus, G.722, G.711, DTMF) with a mark of its own, put where the other side's stands in a pair (`leg::voice`). So offers,
//! answers, ICE, DTLS and SDES need no second form, and whether a leg has to be re-INVITEd is one question: does its media
//! come here, in codecs that can be mixed, both ways? A pair through the edge becomes a hub, and a hub such a pair, without
//! a message to anybody: the packet half is told who hears whom. Where the pair's media went directly, one re-INVITE to
//! each does it, and afterwards it goes directly again.
//!
//! Weighed against a re-INVITE for each role (`sendonly` for the held, `recvonly` for listeners): phones would show it, but
//! each would cost a round trip, meet glare, and change a browser's direction; the roles are the mixer's alone.
//!
//! ## A party that holds a hub is muted
//!
//! Its re-INVITE is answered at once in the mirror of its direction, nobody else is told, and nobody hears what it sends: a
//! phone with music of its own would play it to all, the oldest complaint of conferences. Who else is there counts it as
//! absent, so that a customer whose agent puts the phone on hold hears the edge's music.
//!
//! ## Who keeps a hub alive
//!
//! Speakers and muted ones. Supervisors alone (monitor, coach) hear nobody and are heard by nobody, so the hub ends with the
//! last of the others, unless it stays. One that nobody has joined ends after a minute; a caller for an application that no
//! client answers is told 480 when it has rung as long as anybody may.
//!
//! ## Places in a hub are taken without a transfer
//!
//! REFER by a participant gives its place and role to the target, in one with RFC 5589: the phone's user pressed "transfer".
//! RFC 4579 §5.5 would have a REFER to the focus add somebody; the API and Join do that. The hub answers by itself, so there
//! is nothing to match and nobody to wait for: no transfer object, no `transfer.*`, but `hub.joined` and `hub.left`. The one
//! who leaves is released behind the answer to its last NOTIFY, as in every transfer. Two hubs are not made one: 488.
//!
//! ## A ladder's application has the customer on trial
//!
//! `on_failure = "ladder"` may offer the transferee to an application in the middle. It waits there in a hub of its own, with
//! music, and its old call stands; only when a client answers or moves it does the transferor hear 200 and leave. Until then
//! it hears 182. So a queue that is full, or dead, costs nobody the call.
//!
//! ## A REFER outside of dialogs needs the same party, not only both tags
//!
//! RFC 4538 §5 takes the knowledge of both tags as proof that the sender belongs to the dialog. Tags appear in traces, tickets
//! and in every Refer-To with Replaces. So the sender must also be the dialog's party: the same authenticated user, or, where
//! the PBX authenticates, the same address of record from the same host.
//!
//! ## `explicitsub` is refused
//!
//! RFC 7614 §4.1 has the acceptor serve a URI of its own for SUBSCRIBE. No phone that we know asks for it, and a half
//! subscription is worse than a 420 that names it. `nosub` costs nothing and stands.
//!
//! ## What failed is tried elsewhere by the edge itself
//!
//! After a failure in mode `refer` or `pass`, `on_failure = "next"` dials natively: the transferee's phone has just shown
//! that it could not do it, or said that its target would not. Without `next` a REFER that was accepted and then failed is
//! still not repeated natively.
//!
//! ## A plugin decides and orders, and never holds the engine
//!
//! It is asked (`route`, `allow`, `rewrite`) and told (`observe`), and returns decisions and commands. It gets no
//! `&mut Engine`: a plugin that reached in could break the one-owner rule of legs. Headers that the edge owns are dropped
//! from what it adds, and its orders stop after 16 rounds for one input, so that a bad plugin costs a warning and no call.
//!
//! ## Four ACKs are remembered
//!
//! Found by the simulator: a join sends its re-INVITE right behind the ACK of the 2xx. If that ACK is lost, the 2xx comes again
//! when the newer ACK has taken its place; a leg that remembered one ACK let the target time out after 32 s.
//!
//! ## What says nothing new is answered where it arrives
//!
//! A phone that refreshes its session sends the description that it has; some do so every minute. Passed to the other
//! side it would be a re-INVITE there, with its own glare and its own failures, for nothing. So a re-INVITE or UPDATE whose
//! description is byte for byte what the leg has, and an UPDATE without one, are answered from the leg's own state.
//! What it costs: a party that repeats itself to make the other side answer anew gets what it got before.
//!
//! ## A party without session timers is asked after all the same
//!
//! RFC 4028 §7.2: after a 2xx without `Session-Expires` nothing expires. The edge still sends its re-INVITE (or UPDATE)
//! after half of its interval: it is the only way to notice that a phone has vanished in mid-call. Such a refresh that is
//! refused ends nothing; only 408 and 481 do (RFC 3261 §14.1).
//!
//! ## `100rel` is said only where we offer
//!
//! A callee that knows `100rel` and got no offer would have to make one in its first reliable 18x (RFC 3262 §5), and the
//! answer would have to be in PRACK: before the caller, who may not know `100rel`, has said anything. So an INVITE
//! without a description goes out without `100rel`, and the offer comes in the 2xx, where both sides can do with it.
//!
//! ## A join that is refused is tried once by asking
//!
//! The join offers each side the other's description (above). A side that says 488 or 606 is asked once for its own offer
//! by a re-INVITE without one, which then goes to the other side; its answer comes back in the ACK (RFC 3725 §4.1). It is
//! the fallback and not the rule because a 2xx hangs unacknowledged while the other side thinks. A side whose offer finds
//! no taker gets in the ACK what it had before.
//!
//! ## A hold by the API is not undone by a phone
//!
//! While an API client holds one side, a re-INVITE of either party is answered by the edge in the direction that is
//! wanted, and not passed on. What the party said (that it holds too, or another address) goes over when the API resumes.
//!
//! ## A trunk's password is bound to its realm
//!
//! `username` and `password` of a `[[peer]]` need `realm`: a challenge may come from anybody behind the trunk (LESSONS
//! 37). Each request is answered once; what is challenged again is refused.
//!
//! ## The store keeps the key and the bindings; nonces and branches end with the process
//!
//! With `[store]` the sealing key outlives the process, and with it dialog tags and the flow tokens in Path and
//! Record-Route. What must never come twice under one key is made under a second one, mixed with a seed that each process
//! draws: branches, Call-IDs, nonces. Generations of tags and numbers of connections begin at that seed, so that neither an
//! old tag nor an old flow token names something new. A nonce of an earlier process is answered with `stale=true`: its
//! count is forgotten, and accepting it again would let a REGISTER be replayed; a phone answers the new one by itself.
//!
//! The engine says what is to be kept (`Output::Store`, always all bindings of one user) and takes it back
//! (`Input::Restored`); a thread of its own writes, so that no call waits for a disk. A binding over UDP is reachable at
//! once. One over a connection *waits*: it is listed as not reachable, and nobody dials it until its phone is back.
//! redb was taken because it is pure Rust and one file; the file is for its owner only, because it holds the key.
//!
//! ## What outlives a process is said before what follows from it
//!
//! After each input the engine looks at the legs, calls and transfers that it touched (the tables note whose payload was
//! looked at to be changed), and says what is new of them in one `Output::Store`, before any message of that input. So the
//! store is never behind the wire: what the dead process had decided and not said, the next one says (a 2xx, a BYE, a last
//! NOTIFY, an ACK). A stamp of a few words per leg decides whether anything changed; messages that only count a sequence up
//! change it once in 32 of them, because a restored sequence goes on 64 further. Without a store nothing of this runs.
//!
//! The driver notes such a set in a journal with one `write` before it sends, and hands it to the thread that brings it into
//! the tables and onto the disk. The first form wrote the tables alone: killed between an ACK and the end of an `fsync`, it left
//! a target in a call that no process knew (seen in `tests/faults`, message 11 of a blind transfer). What the process wrote the
//! kernel has; `durability = "confirmed"` is for the machine that dies, and holds every message back until the disk has what
//! led to it, for two seconds at the most: a store that fails must not end calls.
//!
//! Only confirmed dialogs are kept. A call that rings when the process dies is over: its callee, if it answers, is acknowledged
//! and released (its 2xx names our sealed tag, so it needs no record); its caller's INVITE is not answered any more. Keeping setups would
//! double what is written of every call for the second in which it rings. The targets of a transfer are the exception: they are
//! cancelled, because the operator is told that it was taken back.
//!
//! A transfer whose target had answered goes on to the end; one whose target had not is taken back, with 503 in the last NOTIFY
//! and `interrupted` as its reason. In mode `refer` and `pass` the parties do it, so the edge waits on for the outcome. A REFER that
//! comes again because its 202 was lost is accepted again, and begins nothing.
//!
//! An offer that was under way leaves two descriptions in doubt. The next process acknowledges it unseen (a phone that waits for no
//! ACK ignores one) and offers what holds; waiting for the phone's 2xx to come again would meet 491 first.
//!
//! ## SRTP after a restart: another SSRC for what we send, a search for what the party sends
//!
//! Writing the roll-over counter down would have to happen more often than the counter moves, or an index would come twice under
//! one key. A stream with another SSRC begins with counter 0 on both sides (RFC 3711 §3.2.3), and no plain or SDES description of
//! ours names an SSRC. The party's own counter is found by trying: the first packet's tag is right with one only. At most 512
//! (a week of 20 ms packets), with the first 64 packets, on restored ends alone.
//!
//! DTLS cannot go on: its state is too large to be written for every record. The certificate is another one for each process, and that is
//! what makes a browser begin a new association (RFC 8842 §4; a new ufrag alone restarts ICE and keeps the old one). The re-INVITE goes
//! out when the browser's WebSocket is back with its registration.
//!
//! ## What a reload may change
//!
//! Users, routes, peers, transfer and hold policy, ring timeout, the registrar's bounds, the log level and the API's token:
//! whatever the next call or the next request asks for anew. Listeners, certificates and trust, domain, node, PBX, timers,
//! the API's address and the store are what running dialogs were built on; a reload says that they differ and leaves them. A bad file changes
//! nothing. Without `--config` SIGHUP ends the process as it always did: the terminal has gone.
//!
//! ## Click to dial is RFC 3725 flow III, and ends as a join does
//!
//! The first party gets an INVITE without an offer, because only it knows what it can do; the answer in the ACK is
//! `inactive` with its own addresses. So no 2xx waits for the other party (flow I), and no description without media lines
//! is sent, which some phones refuse (flow IV). The second is offered what the first has, and then both are matched by
//! re-INVITE like the sides of a join. While the second rings the first hears nothing; the media rooms will change that.
//! The first party is rung on its own flow even when the PBX keeps its binding: the PBX would ask us for its password.
//!
//! ## Ladders are kept by default, by the engine's thread
//!
//! A transfer that went wrong is asked about afterwards. So the last 200 calls keep their messages, at most 200 a dialog.
//! The engine's thread files them by Call-ID under a lock that is nearly always free; handing each to a thread of its own
//! woke that thread twenty times a call, which cost more than half of the call. What takes time, reading and drawing, is
//! done for who asks, outside of the lock. Shown are first lines, session descriptions in three words, and the steps of transfers with their
//! rules; never a body and never a header, so no credential. `[ladder] calls = 0` turns it off.
//!
//! ## The binary allocates with mimalloc
//!
//! The engine lives in a thread of its own. For such a thread glibc grows and trims a heap page by page with system calls,
//! and a call's hundred small allocations were a sixth of its CPU. The library leaves the choice to its host.
//!
//! ## The PBX is asked from a socket of its own
//!
//! `/readyz` says whether the PBX answers OPTIONS. The probe stands in the driver beside the engine: any answer counts, it
//! never holds back a call, and the engine's transactions are not mixed with a question that concerns no party.
//!
//! ## WebSocket by tokio-tungstenite, not by axum
//!
//! A listener of `ws` is a SIP port that begins with one HTTP request, at any path. axum would bring a router, an executor
//! of its own and a connection that the driver's table does not know: limits by source, time-outs, draining and the end of
//! a flow would exist twice. So the driver upgrades the connection itself and then treats it like any other. It is the
//! crate that axum uses, in the same version. The library upgrades whoever asks; the missing subprotocol `sip` (400) and
//! the foreign origin (403) are refused in its callback, before the upgrade.
//!
//! ## Whose pages may open a WebSocket
//!
//! A page of any site can open a WebSocket to an edge that its visitor's browser reaches. `origins` lists those that may.
//! Without it: any page on loopback, where people try things out; elsewhere pages whose host is the one that was asked
//! for. Who says no origin is no browser and is not held up: digest decides about it as about any phone.
//!
//! ## The self-signed certificate is kept
//!
//! An edge without a certificate signs one for its domain and advertised addresses and keeps it in `[tls] state` (default
//! `$XDG_STATE_HOME/warmline`), so that a phone that was told to trust it still does after a restart. Renewing it is
//! deleting two files. Weighed against making one at each start, which teaches people to click warnings away.
//!
//! ## `verify = false` is a property of the peer
//!
//! One switch for all connections would be turned off for a lab PBX and stay off for the carrier. So it stands at the PBX
//! or the peer, is said at each start, and the other side must still hold the key of what it shows.
//!
//! ## STUN is answered on the SIP port, and outbound is kept over UDP
//!
//! Replaces the decision above that ignored `reg-id` over UDP. The answer has XOR-MAPPED-ADDRESS only: 32 octets for the
//! 20 of the shortest request, which is above the 1.2 that other unauthenticated answers keep; RFC 8489 leaves nothing to
//! take away. A flood gets 4,000 answers a second and no more. `Flow-Timer: 120` is said over streams; over UDP the
//! phone's own 24 to 29 s hold a NAT's binding and we would only make them longer. `ob` in our Path is still promised over
//! streams only.
//!
//! ## Large requests change to TCP towards configured places only
//!
//! RFC 3261 §18.1.1 speaks of every request above 1,300 octets. A phone behind a NAT is reached by its flow and by nothing
//! else, so the rule applies to the PBX and to routes, when a TCP listener of their family exists. The request is printed
//! for both transports under one branch; if the connection fails before anything came back, the datagram goes out after
//! all. The same for what the proxy splices. An ACK has no transaction that could fail: one that went by connection goes
//! as a datagram when its 2xx comes again.
//!
//! ## RFC 3263: the order is decided in the core, and the waiting is done outside
//!
//! [`crate::transport::locate::Locate`] asks questions and takes answers; a resolver is whoever holds it. A look-up leaves the
//! engine as `Output::Resolve` and comes back as `Input::Resolved`; the engine gives it up by itself after
//! `[dns] timeout_ms`, so that a host that never answers ends a call with 503 and a Reason that names the host. PBX and
//! routes are looked up before a port is bound (a misspelt name is found at start) and again when their records end; until
//! the new answer is there, or if there is none, the old places serve. The resolver keeps records for as long as they
//! live, so that every call throws its own dice among servers of one priority (RFC 2782).
//!
//! ## Failover lies where the request is made, not in the transaction
//!
//! RFC 3263 §4.3 wants the next place under a new branch. A transaction that moved by itself would keep the Contact of the
//! wrong transport and hand out a handle that its leg no longer knows. So a leg sends its INVITE again (`leg/place.rs`),
//! under the same number, and the proxy prints the request again (`engine/forward.rs`); both have what they need anyway. A
//! dialog moves only among the places of one next hop's name. What failed is remembered for `[dns] avoid_s` (32 s) or as
//! long as a Retry-After asks, ten minutes at the most, and is tried last, never left out: it may be the only place.
//!
//! ## A Contact that is a name is looked up, one that is an address is not followed
//!
//! RFC 3261 §12.2.1.1 sends requests inside a dialog to the Contact. A phone's Contact is an address behind its NAT, so its
//! flow is used instead. A PBX or trunk that writes an address is often behind one, too (a container is enough), and is
//! reached by the flow on which it answered; one that writes a name meant it. A name that leads to nothing leaves the
//! dialog where it was made. Requests wait for that look-up behind their ACK, in their order.
//!
//! ## Foreign hosts by list only
//!
//! `[edge] reach` names the hosts that calls, REFER targets and Routes of trusted peers may go to where no user, route or
//! PBX takes them. It is empty by default: an edge that looked up and called whatever a stranger writes would be a relay
//! and a scanner. The list is held against the host that would be looked up (`maddr` before the host), not against the text
//! of the URI. In `through` mode phones never use it: what the PBX authenticates goes to the PBX.
//!
//! ## In `through` mode a stranger reaches the PBX and nobody else
//!
//! The PBX authenticates, so the edge asks for no password. A `[[route]]` past the PBX is therefore for phones only that
//! the PBX has accepted: the request comes on the flow of a registration and From says its user. Everybody else's goes to
//! the PBX, which challenges. Before this, anybody could call a trunk by a number that a route matched.
//!
//! ## Every binding of a user is asked, and the best answer goes back
//!
//! Replaces "forks nothing". MESSAGE and OPTIONS for a user, and SUBSCRIBE and NOTIFY of the PBX, go to all its contacts at
//! once, unless the Request-URI is one of them. There is no CANCEL for what is no INVITE (RFC 3261 §9.1), so later answers
//! are dropped. The mark of RFC 5393 stands in the branch behind a dot; our own part of the branch stays what it was.
//!
//! ## `sips:` is kept, or refused with 480
//!
//! RFC 5630 §5.4: 480 with `Warning: 380`. Only ways by TLS are left of a sips target's ways; what came in the clear is
//! refused before anything else is looked at. A phone that registered a `sip:` contact over TLS counts as reached by TLS
//! and keeps its contact in the Request-URI: hardly any phone registers `sips:`, and the hop is what is asked for.
//!
//! ## Certificates are read again at SIGHUP, under the same names
//!
//! A renewed certificate is a changed file, not a changed configuration. New handshakes use it, connections that are up
//! stay. Other paths need a restart, as before. If one file cannot be used nothing is exchanged.
//!
//! ## A phone's 302 is followed by the edge
//!
//! RFC 3261 lets a back-to-back user agent hand a 3xx to the caller. A trunk ignores it or bills it, a desk phone asks its
//! user; what people expect of "forward my calls" is that the call arrives. So the edge calls the contacts itself: of phones
//! that are registered here only, by the dialling rights of the user who forwards, not by those of the caller. The caller
//! hears 181. `Diversion` (RFC 5806) tells the next phone and ends a circle: nobody forwards the same call twice, and five
//! forwards are enough (482). A target of a transfer that forwards is followed in the same way. Where the PBX keeps the
//! bindings, a 302 goes to the PBX: it knows its users' rules. What leads nowhere goes back as the 302 that it was.
//!
//! ## Picking up somebody else's ringing call is off
//!
//! RFC 3891 has the replaced party's own phones take a dialog over. Between colleagues the right to do so is the site's:
//! `[transfer] pick_up = true` gives it to every authenticated user, for dialogs that ring, and for those of the edge's own
//! making only. Both tags are still needed; who knows them was told by the phone.
//!
//! ## One media thread, which waits in epoll itself
//!
//! All packets pass one thread: the two legs of a call, and whoever a transfer joins later, are then always in one table,
//! without a lock and without a hand-over between threads. It waits with `mio`, which tokio brings into the tree anyway: a
//! task per socket costs a wake-up and a look at a waker for every packet (measured before: 5.3 µs beside 4.9). The price: one
//! core moves all audio (`benches/relay` says what of it is ours). It reads with `recvmmsg`, by `nix`, which was in the tree:
//! a call that asks for eight datagrams and gets one has also said that nothing else waits, so that a packet costs one call to
//! receive and not two. `benches/load/media.py` measures the whole process beside rtpengine.
//! To look at again: more than about 2,000 relayed calls on one machine, or much transcoding (Opus is 0.1 ms a frame).
//!
//! ## RTP and RTCP headers are read by our own code
//!
//! `rtc-rtp` and `rtc-rtcp` parse into owned values with an allocation for each packet, and know forty kinds of feedback. A
//! relay needs twelve octets, and of RTCP the two reports. The crates stay as the tests' independent readers.
//!
//! ## A party's stream is ours, whoever speaks
//!
//! A relay may pass SSRC, sequence numbers and timestamps through and let the phone notice that its peer changed. Many do
//! not, browsers least of all (LESSONS 30). So each endpoint has one SSRC for its life, and numbers of its own: loss and
//! disorder of the source stay visible, its gaps of our making (a payload type that the listener does not take, a hold) do
//! not. Header extensions and contributing sources end at the edge: they were negotiated with it, not with the listener.
//!
//! ## Who may tell a leg's address
//!
//! With latching, the first whole packet from the described host or from the host of the signalling; with SRTP, the first
//! that the key opens. Once: only another description opens the choice again. Without latching, packets are taken from
//! the described host, whose first port that sends is the only one from then on. A party whose media comes from a third
//! host (a decomposed gateway) is not heard: it has to be described.
//!
//! ## The page stands on the WebSocket's own port
//!
//! Browsers give a microphone to `https` pages and to loopback only. The API has no TLS, and a page of another port has
//! another origin, to which listeners outside of loopback say no. So `ws` and `wss` listeners answer requests without an
//! Upgrade header with the softphone page: one port, one certificate, one origin. The API serves the same page for whoever
//! puts a reverse proxy in front. It needs no token: there is nothing in it. Its policy (CSP) names the servers that it
//! may connect to, so that what people type goes to this edge only.
//!
//! ## The page is bundled beforehand, with JsSIP
//!
//! `web/softphone/dist` is committed: Node is needed to change the page, not to build the edge. JsSIP rather than SIP.js: it
//! connects again and registers by itself, and its connection can be exchanged under a call. It answers MD5 challenges only;
//! the page lends it SHA-256 (RFC 8760).
//!
//! ## Two parties with ICE are joined by a fresh offer
//!
//! The join offers each side what the other said (see above). With ICE that never ends: new credentials in an offer are a
//! restart, whose answer has new ones too (RFC 8839 §4.4.1.1.1). So the transferee is asked for an offer, and the target's
//! answer comes back in the ACK: RFC 3725 flow I after all, where it is the only way. A 2xx hangs in the air for as long as
//! the target takes; over WebSocket nothing is repeated meanwhile.
//!
//! Chromium exchanges the peer of a connection within half a second if it becomes the DTLS server, and after 6.5 s or never
//! if it stays the client. The page therefore makes a new connection when it is asked for an offer or offered another
//! certificate.
//!
//! ## A phone's dialogs follow its registration
//!
//! A leg whose connection broke goes to the flow on which the same contact registers for the same address of record. A
//! browser that does not come back within 64*T1 has lost its calls: nobody can connect to it, and a customer should not
//! wait for a session timer. Phones over TCP and TLS are not given up: they connect when they have something to say.
//!
//! ## SRTP and STUN are our own, DTLS is the webrtc family's
//!
//! `rtc-srtp` copies every packet into a new buffer, keeps state for every SSRC of a packet *before* it is authenticated (a
//! million forged packets are a million states), takes the authenticated header's length from a parsed copy, and signs
//! with ring, which has no SHA-NI code for SHA-1. So `media/secure/srtp` does RFC 3711 and 7714 itself, on RustCrypto's AES and SHA-1 and
//! on ring's GCM: 172 octets cost 103 ns to protect and 110 to open with GCM where `rtc-srtp` takes 176 and 175, and 252 and 293 with
//! HMAC-SHA1-80 where it takes 408 and 408, without an allocation (the fastest of 151 interleaved rounds; `benches/srtp.rs`). Packets made by
//! libsrtp, the vectors of both RFCs, and `str0m` at the other end say that it is right. The few attributes of STUN that a lite agent reads are read in place for the same
//! reason: a shared port hears strangers.
//!
//! `rtc-dtls` does the handshakes, held at arm's length (`media/secure/dtls`): records are screened before it sees them, for it
//! answers junk in the clear with fatal alerts and joins fragments by recursion; what one handshake may feed it is bounded; repetitions are kept
//! from it, because hearing one puts its own retransmission timer away for good (seen: a handshake in which three datagrams in a row were lost
//! never ended); a panic in it would end the association and not the media thread. None was seen in fuzzing.
//!
//! ## What is not authentic gets no answer from ICE
//!
//! RFC 8489 §9.1.3 has 400 and 401 for requests without the right name or password. On a port that strangers can write to, an answer is an
//! oracle and a reflector, so such requests are counted and dropped; authentic ones get 400, 420 and 487 as the RFCs say.
//! The edge is a lite agent only. A full one needs candidates of its own, STUN servers, checks in pace, and an agent that
//! owns its sockets (`rtc-ice` does) where ours share one port; whoever sets up an edge can give it an address that is
//! reached, and then RFC 8445 §2.5 wants it lite. Without a WebSocket listener the shared port serves phones with ICE, and
//! any port will do where the configured one is taken.
//!
//! ## A hub sums at two rates, and resamples sums
//!
//! G.711 is summed at 8 kHz, G.722 and Opus at 16 kHz. One internal rate of 48 kHz would make telephones pay for browsers: six
//! times the additions and two filters for each of them. Two sums cost a hub of telephones nothing, and where both kinds are
//! there, it is the *sums* that go through a filter, so that a hub has two of them however many speak. Opus is decoded to 16 kHz by
//! itself, and encoded from it: 32 kbit/s with FEC is wideband, and nobody would hear the difference.
//!
//! A voice below -56 dBFS for 400 ms is not mixed. Hundreds of quiet lines would add up to noise, and each of them would want an
//! encode of its own, because whoever is in the sum must hear it without itself. Where nobody speaks, frames of silence that were
//! encoded once go out: an RTP stream that stops closes NAT bindings and looks like a dead line to whoever counts packets,
//! and DTX would be the same for every codec but Opus.
//!
//! G.722 and Opus remember what they encoded. Whoever speaks gets an encoder of its own, fed with the frame that was heard
//! last, and keeps it for two seconds; then it hears the shared one again (a test measures that a tone goes on through both changes).
//!
//! ## A hub's recording has no whispers
//!
//! It is one channel of what all hear. Whoever plays it to the customer must not play the coach with it; who wants the coach
//! records the coached leg, whose right side is what it heard.
//!
//! ## Media is described at the leg's edge, and calls do not know of it
//!
//! Call and transfer hand descriptions from party to party, as they did when all media was direct. Where a leg prints one for
//! its party or reads one (`leg::media`), our own end may step in between: `leg.remote` and `leg.sent` stay what the *parties*
//! said, so that hold, matching and joining need no second form. A description carries the mark of its author; who talks with
//! whom, and so who hears whom, follows from it. The alternative, a bridge that knows endpoints, would have put the three modes into every transition
//! of calls and transfers.
//!
//! A call moves up and down by the same offers that hold, resume and join make. A browser that has been sent a description of ours
//! stays with the edge for good: Chromium takes seconds, or for ever, to change the other end of a DTLS association. What a flow says of
//! a party (WebSocket: a browser) and what the policy wants (`srtp = "preferred"`) are suppositions; a 488 to such an
//! INVITE is followed by one in RTP/AVP.
//!
//! `transport::Network` was the engine's: legs look up by it how a peer's media is treated.

pub mod cluster;
