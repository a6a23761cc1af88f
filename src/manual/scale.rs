//! How many nodes share the work, what the store carries for them, and what fails first.
//!
//! Where a figure stands, it says how it was had: **counted** in the simulator (`cargo test --test cluster -- --nocapture`: real
//! engines, real stored rows, virtual time; a count does not depend on the machine), **measured** on two shared EPYC cores,
//! or **reckoned** from the two. What is not built yet is said to be so.
//!
//! # How the work is divided
//!
//! - **A call belongs to the node that its first INVITE reached.** That node's number stands in the tags of all its legs, and whoever
//!   gets a message of the call knows from the tag alone where it belongs: no table of calls is shared, and none is asked.
//! - **A phone belongs to the node that it registered at**, by DNS SRV, a load balancer or anycast. Over TCP, TLS and WebSocket it can
//!   be reached by no other; a message for it goes over the link to the node that has its connection.
//! - **Bindings belong to the cluster.** Every node has all of them, so that an INVITE finds its callee wherever it arrives.
//! - **A dead node's number goes to one survivor**, with all of its calls, in an engine of its own beside the survivor's.
//!
//! A balancer that keeps a phone at one node (by source address, or a Contact that names the node, which UDP phones follow by
//! themselves) makes nearly every message arrive where it belongs. One that does not sends (N−1)/N of them to the wrong node:
//! counted, 12 messages of held and resumed calls then cost 20 frames on links, where they cost none before.
//!
//! # What membership costs
//!
//! Counted, 200 virtual seconds of rest, a lease of 2 s (the last line with `WARMLINE_NODES=1000`, five minutes of a debug build):
//!
//! | nodes | questions to the store, a second and node | in all, a second | claims watched by each | rows of looks, a second and node | wake-ups, a second and node |
//! |---|---|---|---|---|---|
//! | 1 | 2.10 | 2 | 0 | 0.1 | 2.0 |
//! | 10 | 2.10 | 21 | 3.0 | 1.0 | 2.0 |
//! | 100 | 2.10 | 210 | 3.0 | 10.0 | 2.0 |
//! | 1,000 | 2.01 | 2,010 | 3.0 | 10.0 | 2.0 |
//!
//! A node's own cost stays the same: each number is watched by three survivors, and the look at everything is made rarer above a
//! hundred nodes. Redis takes 16 to 17 µs of CPU for such a question (measured: Redis 7.0, a script that renews one claim and reads
//! three, `redis-benchmark` over loopback), so membership takes 0.35 % of one Redis core at 100 nodes and 3.5 % at 1,000.
//!
//! A take-over is one claim, three pings, and a word to every node (counted at 10 and 100 nodes): linear, and only when somebody dies.
//! It comes 2.2 to 2.9 s after the death (counted: 15 deaths among 100 nodes, eleven of them at once).
//!
//! # What the store carries per call
//!
//! Counted with the rows as they are stored (JSON; key and value; what Redis adds is not in it), each write being one script
//! that compares the token and keeps all rows or none:
//!
//! | | writes | rows | octets | octets that stand while it is up |
//! |---|---|---|---|---|
//! | a call: INVITE to BYE, sound from party to party | 4 | 11 | 7,000 | 4,100 |
//! | the same, sound through the edge | 4 | 11 | 8,100 | 5,100 |
//! | two calls, a hold, an attended transfer, hang-up | 14 | 37 | 33,400 | |
//! | the same, sound through the edge | 14 | 37 | 40,800 | |
//!
//! A write of two or three rows takes 15 µs of Redis CPU (measured as above; 17 µs with its append-only file, `everysec`): 60 to 68 µs a call,
//! beside the 157 µs that the node itself takes for it (README, measured). So one Redis core keeps up with two and a half node cores that do nothing but set
//! up and end calls, or 15,000 calls a second. Telephony is slower than that: 10,000 calls at once of three minutes each are 56 calls a
//! second, and a node of two cores carries them for signalling with a hundredth of what it has. Reckoned so:
//!
//! | nodes, each with 10,000 calls up | calls a second | writes a second | of one Redis core | kept in Redis |
//! |---|---|---|---|---|
//! | 10 | 560 | 2,200 | 4 % | 0.4 GB |
//! | 100 | 5,600 | 22,400 | 38 % | 4 GB |
//! | 1,000 | 56,000 | 224,000 | 3.8 cores: a cluster of five or more | 41 GB |
//!
//! In a Redis cluster the claim of a number and the records of that number must lie in one slot, because one script compares and
//! writes: the node's number is the hash tag of both. A renewal that watches three other numbers is then four questions. This is laid out so
//! in the words of [`cluster`](crate::cluster), and neither built nor tried.
//!
//! # What fails first
//!
//! | at | what | then |
//! |---|---|---|
//! | any size | Redis fails over (Sentinel: some 10 s) | calls go on; new state waits in a bounded queue; who dies meanwhile is taken over when it is back (counted: two seconds or a little more after that) |
//! | any size | Redis comes back empty | every process claims its number again and says everything once more; a node that dies in the second before that takes its calls along |
//! | any size | a balancer without memory | 1.7 frames on links for each message; UDP phones that follow Contact do not notice |
//! | a rack | eleven of a hundred nodes at once | taken over by as many survivors as there are dead numbers, nearly (counted: 20 dead numbers at 19 survivors) |
//! | above 100 nodes | bindings at every node: 1,000 nodes of 1,000 phones that refresh every half hour are 560 changes a second told to 1,000 nodes each, and a million bindings in each node's memory | AORs must be looked up in the store when they are called, or divided by hash. **Not built** |
//! | above 100 nodes | everybody tells everybody of a take-over; a whole cluster that begins at once says N² words (a million at 1,000) | begin in groups |
//! | 1,024 nodes | the pool of numbers | make it larger: a tag has room for 65,536 |
//! | 1,000 nodes | links: each node may have one to each other | only pairs that pass messages have one |
//! | media | sound through the edge: 5.6 µs of CPU a packet with its sockets (README, measured), so 900 calls a core | the node, long before anything shared: more nodes |
//!
//! # A transfer between two nodes
//!
//! An operator who registers at one node has all the calls that it makes there; one that comes in elsewhere is a call of that other
//! node, with the operator's phone as a party. To join the two, the REFER reaches the node of the first and names a dialog of
//! the second: in the form of RFC 5589 §7.3, where Refer-To is the consult's Contact, that is an INVITE with Replaces from one
//! node to the other, and the call passes over a dialog between them (simulated, with the death of one of them afterwards). It wants the nodes'
//! addresses among `[[peer]]` with `auth = "none"`, and in `reach`. With an address of record in Refer-To the INVITE goes to the
//! consult's phone, which knows no such dialog: the transfer is taken back. **Not built**: the core does not know other nodes' addresses.
//!
//! # What an operator decides
//!
//! - **How packets of a dead node's address arrive.** Its address moves to the survivor (VRRP, or the same host), or a balancer sends
//!   them to any node. Both are simulated. Behind a NAT that lets in only packets from the old address, the edge's own requests
//!   to a phone wait for the phone's next message where the address does not move.
//! - **How long a lease is.** Half of it is the time to the ping, all of it the time to the take-over. 2 s is four renewals; a
//!   shorter one costs questions in proportion.
//! - **`durability`.** Written behind, a death loses what was decided in the last fraction of a millisecond before it, as with one node;
//!   a process that was stopped and goes on may say a last word for dialogs that it has lost. With `confirmed` no message leaves
//!   before the store has what led to it: a round trip more for each message that changes something.
