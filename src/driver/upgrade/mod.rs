//! The next process takes over while this one runs: an upgrade without a lost call.
//!
//! Owns: what two processes of the edge say to each other, the descriptors that pass between them, and the time in which both
//! run. The newer one is a child with a Unix socket as its standard input; both have the same [`Store`].
//!
//! | the older one | the newer one |
//! |---|---|
//! | starts it | reads its configuration and keys: `Prepared` |
//! | stops reading: what comes waits in the sockets | |
//! | writes its journal into the store, closes it, and passes every socket: `Offered` | |
//! | | opens everything that it needs: `Ready` |
//! | forgets what it has handed over: `Go` | reads the sockets |
//! | finishes what rings, what is being transferred, hubs | gives it the messages that it does not know |
//! | keeps its connections open, TLS and WebSocket too, and passes messages both ways | answers them |
//! | ends when nothing is left, or at the deadline | is alone |
//!
//! Until `Go` nothing has happened: whatever fails before it (a wrong file, another version, a slow disk) leaves the older
//! process as it was, with the store opened again.
//!
//! Refuses: to hand over what is in no store. Such calls stay where they are for as long as they live; a kill in the meantime
//! loses them. Dialects' own state (queues, tasks, subscriptions) begins anew, as after a restart.
//!
//! Not handed over: a TLS session cannot be, so its connection stays with the older process and is cut at the deadline; the
//! phone then connects again. Browsers' media of a call that the older process keeps (one port for all of them) is silent.
//!
//! [`Store`]: crate::store::Store

mod bond;
mod give;
mod link;
mod take;

pub(super) use bond::{Bond, Heard};
pub(super) use give::Offer;
pub use give::{HandOver, Handed};
pub use link::Link;
pub(super) use link::{Name, WrittenFlow};
pub(super) use take::Heir;
pub use take::Inherited;
