//! The words of the cluster: what stands in the shared store, what is asked of it, and what it answers.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A process, by a number that it drew at random when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder(pub u64);

/// How a process is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Who it is.
    pub holder: Holder,
    /// Where its peers connect to.
    pub link: SocketAddr,
}

/// Who serves a node number: what stands in the store under that number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The number that stands in tags.
    pub node: u16,
    /// The fencing token. Drawn from one counter of the cluster at each claim: it only grows, and never comes twice.
    pub token: u64,
    /// Who; `None`: it was given up with records left under it, and whoever comes first may have it.
    pub card: Option<Card>,
    /// Where SIP of this number comes and goes: the addresses of who serves it, and behind them those of whoever served it
    /// before, which parties of its dialogs still know.
    pub listeners: Vec<SocketAddr>,
}

/// A number with the token under which somebody serves it: what every write of that node's records shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The number.
    pub node: u16,
    /// The fencing token.
    pub token: u64,
}

/// A claim as the store shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What stands there.
    pub claim: Claim,
    /// Another number after each renewal. That it stays the same is how a death is seen: no clock but the looker's own
    /// has a part in it.
    pub beat: u64,
}

/// Names a question to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

/// What is asked of the store. Each is done whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreOrder {
    /// Give each of these numbers another beat if its token is the one shown; and say what stands under the watched ones.
    /// One round trip per process and quarter of a lease, however many numbers it serves.
    Renew {
        /// What this process serves.
        held: Vec<Held>,
        /// Whose beats it looks at.
        watch: Vec<u16>,
    },
    /// Say what stands under every number.
    Look,
    /// Draw a token and put this process in place of what stands there, if that still has this token. The token is one more
    /// than the counter and than `above`, and becomes the counter: it grows even over a store that lost everything.
    Claim {
        /// The number.
        node: u16,
        /// The token that must stand there; `None`: nothing may stand there.
        expected: Option<u64>,
        /// Who claims.
        card: Card,
        /// Its addresses ([`Claim::listeners`]).
        listeners: Vec<SocketAddr>,
        /// The highest token that this process knows.
        above: u64,
    },
    /// This process serves the number no more, if the token is still its own.
    Release {
        /// What it served.
        held: Held,
        /// Nothing is left under it: the claim is taken away. Otherwise it stays, without a card.
        empty: bool,
    },
}

/// What the store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAnswer {
    /// To [`StoreOrder::Renew`].
    Renewed {
        /// What is not this process's any more, with what stands there now, if anything.
        refused: Vec<(Held, Option<Claim>)>,
        /// The watched ones that there are.
        seen: Vec<Seen>,
    },
    /// To [`StoreOrder::Look`].
    Looked(Vec<Seen>),
    /// To [`StoreOrder::Claim`]: it is this process's, under this token.
    Won(Held),
    /// To [`StoreOrder::Claim`]: something else stands there.
    Lost {
        /// The number.
        node: u16,
        /// What stands there now.
        by: Option<Claim>,
    },
    /// To [`StoreOrder::Release`], whether the token was still right or not.
    Released,
}

/// How a process takes part.
#[derive(Clone, Debug)]
pub struct Terms {
    /// After so long without a beat a number may be taken over. A quarter of it is the time between two renewals.
    pub lease: Duration,
    /// Node numbers that processes choose from. A cluster needs some more than it has processes.
    pub pool: RangeInclusive<u16>,
    /// The number that this process would like to have.
    pub wanted: Option<u16>,
    /// Where this process takes SIP, as it writes it into Via and Contact.
    pub listeners: Vec<SocketAddr>,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms {
            lease: Duration::from_secs(2),
            pool: 0..=1_023,
            wanted: None,
            listeners: Vec::new(),
        }
    }
}

/// What a process learns.
#[derive(Clone, Debug)]
pub enum Input {
    /// The store has answered.
    Answered {
        /// The question's id.
        id: OrderId,
        /// The answer.
        answer: StoreAnswer,
    },
    /// The store did not do what it was asked (unreachable, read-only, full); or nobody knows whether it did.
    Failed {
        /// The question's id.
        id: OrderId,
    },
    /// Somebody answered a ping ([`Output::Ping`]): it serves that number under that token.
    PeerPinged(Held),
    /// Nobody answered a ping, or somebody who does not serve that number.
    PeerSilent {
        /// The number.
        node: u16,
    },
    /// The link to this address broke, or could not be made: who was there is asked at once, and its messages wait.
    LinkLost {
        /// Where it led.
        link: SocketAddr,
    },
    /// A peer says who serves a number: at the start of a link, after a take-over, in place of serving a message.
    Told(Claim),
    /// The store refused a write of this number's records: this token does not stand there any more.
    WriteRefused {
        /// What was shown.
        held: Held,
        /// The token that stands there; `None`: none at all, the store has forgotten the number.
        stands: Option<u64>,
    },
    /// A message named a number that nobody is known to serve.
    Missed {
        /// The number.
        node: u16,
    },
    /// An adopted number has no leg left; or the home number, while the process leaves.
    Emptied {
        /// The number.
        node: u16,
    },
    /// What was adopted cannot be served here.
    CannotServe {
        /// The number.
        node: u16,
    },
    /// The process will end: it takes over nothing any more, and gives up what is [`Input::Emptied`].
    Leaving,
    /// The process ends now, whatever is left.
    Ending,
}

/// What a process is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the store; its answer comes back with the same id.
    Store {
        /// Names the question.
        id: OrderId,
        /// The question.
        order: StoreOrder,
    },
    /// Ask this peer over the link whether it serves this number under this token. Answered by [`Input::PeerPinged`] or
    /// [`Input::PeerSilent`]; no answer within a quarter of a lease is silence.
    Ping {
        /// What it should be serving.
        held: Held,
        /// Where it should be.
        link: SocketAddr,
    },
    /// The number is this process's: read the records that stand under it, run an engine of that number with them, and
    /// write with this token. The first one is the home of new calls.
    Serve {
        /// Number and token.
        held: Held,
        /// New calls are begun under it.
        home: bool,
        /// Who served it before: its addresses may be taken over.
        from: Option<Claim>,
    },
    /// The store had lost the claim and has it again: the same engine goes on and writes under this token. What was kept is
    /// lost as well, and has to be written once more.
    Reclaimed(Held),
    /// Somebody else serves the number: drop its engine at once and say nothing to anybody.
    Fenced(Held),
    /// The number was given up: its engine has nothing left, or the process ends.
    Released(Held),
    /// Tell every peer.
    Tell(Claim),
    /// Something that an operator wants to know.
    Alarm(Alarm),
}

/// What an operator wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The store has not answered for a lease: nothing new is safe, and nobody is taken over by this process.
    StoreUnreachable,
    /// The store takes half a lease or more for an answer: a death is seen later.
    StoreSlow {
        /// How long the last answer took.
        trip: Duration,
    },
    /// The store answers again as it should.
    StoreBack {
        /// How long it did not.
        after: Duration,
    },
    /// The store has lost this number: it came back empty.
    StoreForgot(Held),
    /// Every number of the pool is taken: this process has no home for new calls.
    PoolExhausted,
}
