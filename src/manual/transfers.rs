//! Transfers and their races.
//!
//! A transfer has three parties. In this page **alice** is the customer (RFC 5589: the *transferee*), **bob** the operator
//! (the *transferor*), **carol** the consult (the *target*). None of them talks to another directly: the edge has a dialog
//! of its own with each. That is why it can hold, dial, join and report in the right order whatever their phones can do.
//!
//! Two rules come before all others:
//!
//! 1. **Nobody is let go before somebody else is there.** The target is dialled while the old call stands. Until alice and
//!    carol hear each other, a failure gives bob his call back as it was, held or not.
//! 2. **One owner.** From the moment a REFER is accepted, all legs that it concerns belong to the transfer, and only the
//!    transfer interprets what they do. A BYE from bob is then a fact to note, not the end of the call.
//!
//! # Blind: bob sends alice to carol
//!
//! RFC 5589 §6.1, RFC 3515 §2.4.
//!
//! ```text
//!  alice                edge                 bob                carol
//!    |<=== conversation ==|==================>|                   |
//!    |                    |<-- INVITE (hold) -|                   |
//!    |<- INVITE (hold) ---|                   |                   |
//!    |-- 200 ------------>|--- 200 ---------->|                   |
//!    |                    |<-- REFER ---------|  Refer-To: carol  |
//!    |                    |--- 202 ---------->|                   |
//!    |                    |--- NOTIFY 100 --->|                   |
//!    |                    |--- INVITE ------------------------->  |  1. dialled first, with alice's description
//!    |                    |<-- 180 -----------------------------  |
//!    |                    |--- NOTIFY 180 --->|                   |
//!    |                    |<-- 200 -----------------------------  |  2. carol becomes a party of the transfer,
//!    |                    |--- ACK ---------------------------->  |     and only then is she acknowledged
//!    |<- INVITE ----------|                   |                   |  3. joined: each is offered what the other
//!    |-- 200, ACK --------|                   |                   |     last described, until both match
//!    |<=== conversation ==|====================================> |
//!    |                    |--- NOTIFY 200 --->|                   |  4. bob is told ...
//!    |                    |<-- 200 -----------|                   |
//!    |                    |--- BYE ---------->|                   |  5. ... and only after his answer released
//! ```
//!
//! Step 3 takes as many re-INVITEs as it needs and no more: carol was offered alice's description when she was called, so
//! often one to alice is enough.
//!
//! # Attended: bob has asked carol, and joins both
//!
//! RFC 5589 §7.3, RFC 3891. Bob has two calls. His REFER in the one names the other by `Replaces`.
//!
//! ```text
//!  alice                edge                 bob                carol
//!    |== on hold =========|===================|                   |
//!    |                    |<== conversation ==|=================>|
//!    |                    |<-- REFER ---------|  Refer-To: carol?Replaces=<bob's second dialog>
//!    |                    |--- 202 ---------->|                   |
//!    |                    |--- NOTIFY 100 --->|                   |  nobody is dialled: the dialog is found here
//!    |<- INVITE ----------|--------------------- INVITE ------->  |
//!    |<=== conversation ==|====================================> |
//!    |                    |--- NOTIFY 200 --->|                   |
//!    |                    |<-- 200 -----------|                   |
//!    |                    |--- BYE, BYE ----->|                   |  both of bob's calls end
//! ```
//!
//! `Replaces` is looked up among the edge's own live dialogs first. If it names bob's second call, carol is the party beyond
//! it. If it names the dialog on carol's side, as a phone does that was told those identifiers, the edge knows that one
//! too. Only a dialog that is not here at all is dialled, with `Replaces` passed along. A REFER that names somebody else's
//! dialog is refused with 403, and both tags must match: a Call-ID alone moves nobody.
//!
//! When carol still rings (RFC 5589 §7.6, semi-attended), the transfer waits for her answer and joins then.
//!
//! # Take-over: a newcomer sends INVITE with Replaces
//!
//! RFC 3891 §3. The newcomer is answered with 200 first, then the replaced party gets its BYE (or CANCEL, if it was still
//! ringing and the edge had called it). Whatever is refused leaves the named dialog untouched:
//!
//! | the INVITE | answer |
//! |---|---|
//! | has Replaces twice, with Join, or without exactly one tag of each kind | 400 |
//! | names no dialog of ours, or one that rings and was not started here | 481 |
//! | names one that has ended | 603 |
//! | says `early-only` and the dialog is confirmed | 486 |
//! | comes from somebody who is not the replaced party's user and not trusted | 403; unless it rings and `pick_up` is on |
//!
//! # Modes
//!
//! `native`: as above, the edge joins the legs; works with any phone. `refer`: the edge passes the order on as a REFER of
//! its own to alice, and her NOTIFYs decide; she and carol then have a dialog of their own. `auto`: `refer` if alice's
//! phone says that it can (Allow, Supported) and can reach carol, else `native`; and if her phone then refuses the REFER,
//! `native` all the same (RFC 5589 §7.4). `pass`: bob's REFER goes end to end. Nothing is promised to him that alice has not
//! promised: he gets his 202 when hers has come, or her refusal as it is; `Replaces` is translated from his identifiers to
//! those that carol knows, and what alice's NOTIFYs say is said to him. The mode belongs to alice's peer profile.
//!
//! # When the target cannot be had
//!
//! `[transfer] on_failure`, and `on_failure` of `POST /v1/transfers`, say where alice goes then: `transferor` (she is given
//! back to bob, and released with a cause if he has gone), `next` (the next of a list is dialled, by the edge itself and on
//! her behalf; bob is told 181), or `hang_up` (she is released, and then bob). A target that has gone in the middle of the
//! join counts as one that cannot be had. At most `max_depth` targets are tried, and all of it ends at `timeout_s`: nobody
//! listens to silence for ever. `DELETE /v1/transfers/{id}` takes a transfer back for as long as it is not decided.
//!
//! # Forms of REFER
//!
//! | REFER | answer | NOTIFYs |
//! |---|---|---|
//! | in the dialog | 202, or 200 (`refer_answer`; RFC 7647) | in the dialog |
//! | outside, with Target-Dialog of bob's live dialog (RFC 4538) | the same | in the dialog that this REFER made |
//! | outside, with somebody else's Target-Dialog; without any | 403 | |
//! | `Refer-Sub: false` (RFC 4488) | 202 and `Refer-Sub: false` | none |
//! | `Require: nosub` (RFC 7614) | 200 | none |
//! | `Require: explicitsub` (RFC 7614) | 420 | |
//!
//! # Who may
//!
//! A REFER moves the other side of its own dialog, to the other side of another dialog of the same party, or to somebody
//! whom the transferor could have called: a `[[route]]` with `users` is closed to the transfers of others. A plugin
//! ([`crate::engine::Plugin`]) may refuse each transfer, before the target hears anything.
//!
//! # When somebody hangs up in the middle
//!
//! | who leaves | when | what happens |
//! |---|---|---|
//! | bob | any time after his REFER was accepted, even before the 202 has reached him | the transfer goes on; there is nobody left to tell, which is no failure |
//! | alice | while carol rings | carol's INVITE is cancelled; bob is told, then released: he is parked in no empty call |
//! | alice | during the join | carol is released; bob is told, then released |
//! | carol | before the join holds | alice is given back to bob |
//! | carol | refuses, is busy, does not answer | alice is given back to bob, held if he had held her; he may try somebody else |
//! | carol | right after her ACK | she is known by then, so her BYE finds its dialog |
//! | bob, carol refuses after he left | | alice is released: nobody is there to give her back to |
//!
//! # The races, and the order that settles each
//!
//! What went wrong in other systems, and the rule here (LESSONS 1 to 7).
//!
//! - **The transferor was dropped before the target answered.** Dial first; the original call is kept until the join holds.
//! - **An attended REFER was dialled anew**, and the consult's phone rang beside its own call. Replaces is resolved against
//!   live dialogs before anything else.
//! - **Bob's BYE, 280 ms behind the 202, killed alice's call.** Legs have one owner; the transfer does not end with its
//!   transferor.
//! - **Alice hung up and bob stayed parked.** Each party in each phase has a test, and so has each millisecond
//!   of an attended transfer.
//! - **Final NOTIFY and BYE left 19 µs apart**, the BYE arrived first, the NOTIFY got 481 and bob's phone showed "transfer
//!   failed". The BYE follows the *answer* to the NOTIFY; if none comes, the guard timer lets it go.
//! - **Carol was acknowledged before she was made a party**, and her immediate BYE matched nothing. Promote, then ACK.
//! - **A BYE overtook the ACK that a re-INVITE was owed.** A leg that is to end first settles what it owes, then sends BYE.
//! - **Glare.** Both sides re-INVITE at once and get 491. The leg waits by RFC 3261 §14.1 (2.1 to 4 s for the one who called,
//!   up to 2 s for the other) and tries again by itself. On one leg only one offer is under way at a time; a REFER right
//!   behind a hold is not refused, the join waits until the hold is through (LESSONS 25).
//! - **"Succeeded" at 202.** 202 means accepted. A transfer has exactly one terminal event, `transfer.completed` or
//!   `transfer.failed`, and it comes from the join, the sipfrag, the end of the subscription, or a timer.
//!
//! # What can be turned
//!
//! | setting | meaning |
//! |---|---|
//! | `ring_timeout` | how long a target may ring; then `target_no_answer`, and alice is given back |
//! | `guard` | how long the answer to the final NOTIFY is awaited before the BYE goes anyway; also how long a BYE that the other side owes |
//! | `transfer` | the mode, for all and per peer |
//!
//! # What you see
//!
//! `transfer.requested`, then `transfer.progress` for every step with the rule that fired, then the terminal event with a typed
//! reason and the SIP status that says so. `Refer-Sub: false` (RFC 4488) silences the NOTIFYs to bob and none of these.
