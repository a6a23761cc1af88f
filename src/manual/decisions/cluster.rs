//! Several nodes: what was decided, and why.
//!
//! # A death is seen by a beat that stands still, not by a key that expires
//!
//! The usual lease is a key with a time to live. Its clock is the store's: one that jumps an hour ends every lease at once, and
//! a store that was away for three seconds comes back with all leases run out, though nobody died. So a claim stays until it
//! is replaced, and carries a number that each renewal changes. A survivor measures by its own monotonic clock for how long
//! it was shown the same number, from the answer that first showed it to the sending of the last question that still did; and
//! it begins anew whenever a question failed. A slow store stretches the measure by two and a half round trips.
//!
//! # Silence is asked about before it is believed
//!
//! A number without a beat for half a lease is pinged over the link. A node that has lost the store and not its calls answers,
//! and keeps them: taking them over would cut their sound for nothing. The ping runs while the lease does, so it costs no time.
//!
//! # One round trip a quarter of a lease, however many numbers
//!
//! The renewal carries all numbers of a process and asks in the same question for the beats of those that it watches: its lot
//! (rendezvous hashing of number, token and process) puts it among the first three survivors for about three numbers, whatever
//! the size of the cluster. What all three watchers of a number took with them is found by the look at everything, which is
//! made rarer in proportion above a hundred nodes. Watching everybody would cost the square of the number of nodes.
//!
//! The same lot spreads what has to be taken over: eleven nodes of a rack go to about eleven survivors, and one claim is made
//! for each, because a quarter of a lease lies between the first survivor's turn and the second's.
//!
//! # A second engine, not a second table
//!
//! What is taken over runs in an engine of the dead node's number beside our own. Slots, generations, tokens and tags stay what they
//! are, and a message finds its engine by the number in its tag. When the engine is empty the number is given back. Merging the
//! tables would have needed a translation of every slot for the life of the calls.
//!
//! # A process that returns takes a new number at once
//!
//! It could wait for its old one, but then it could take no call for two seconds; and its old calls may be somebody else's by
//! then. So it begins under a free number, and if nobody has taken its old one it is the first who may: it stands at the same
//! address, so half a lease is enough and nobody needs to be asked. Restarted within a second it has its old calls back, at
//! the addresses that their parties know.
//!
//! # An old token is refused by the store, and learned from whoever says it first
//!
//! Every write shows the token of its number. A process that was stopped for some seconds goes on in good faith; with
//! `durability = "confirmed"` nothing it says leaves before the store has accepted what led to it, so it is fenced by its first
//! write and a party's request is answered by the new owner only. Written behind, some messages of that moment may leave: a
//! BYE that the old owner answered is then unknown to the new one, whose session timer finds out.
//!
//! It drops the engine and says nothing: a BYE would end a dialog that is somebody else's.
//!
//! # A store that comes back empty fences nobody
//!
//! "No claim stands there" is not "somebody else's claim stands there". The process claims its number again and has its engine
//! say once more what is to be kept ([`Input::StoreForgot`](crate::engine::Input::StoreForgot)). A claim states the highest token
//! that its process has seen, so tokens grow even where the counter began anew.
//!
//! # A message for a number that nobody has at the moment is kept
//!
//! Until a survivor has the number, a request for it would be answered 481 by anybody else, which ends the dialog (RFC 3261
//! §12.2.1.2), and dropped it would be lost for good on a stream, where nobody sends it twice. So the process that it reached keeps it
//! for some seconds. A message goes over one link at the most; two processes that each believe the other to be the owner keep it too.
