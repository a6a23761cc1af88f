//! The bot dialect: a caller talks with a program over HTTP, which may hand it to a person and take it back.
//!
//! Owns: the turns of a talk (one POST each), what replies become (speech, sounds, hang-up, transfer), the status of a
//! transfer, keys as queries, and the two paths that a bot asks at its start.
//!
//! Refuses: to understand speech (keys only), buttons, more than [`MOST_TALKS`] callers at once, and call logic: everything
//! is a [`Command`](crate::engine::Command).
//!
//! RFC sections: 3515 (`method: refer`), 3325 (P-Asserted-Identity is a header like any other here).
//!
//! | after `switch` | `continueCall` | otherwise |
//! |---|---|---|
//! | refused, silent, unreachable | FAIL, the bot goes on | FAIL, BYE |
//! | the customer hangs up while it rings | FAIL, hangup; CANCEL | the same |
//! | the operator hangs up | SUCCESS, the bot goes on | SUCCESS, BYE |
//! | the customer hangs up | SUCCESS, hangup | the same |
//! | REFER: NOTIFY 2xx | SUCCESS, the edge drops out | the same |
//! | REFER: refused, NOTIFY ≥ 300 | FAIL, the bot goes on | the same |
//!
//! ```
//! use warmline::api::bot;
//!
//! assert!(bot::MOST_TALKS >= 1_000);
//! ```

mod channels;
mod listen;
mod switch;
mod talk;
mod wire;

use std::fmt;
use std::sync::Arc;

use axum::Router;

use super::follow::Followers;
use super::twilio::sound::Shop;
use super::webhook::Client;
use super::{EngineHandle, Happened};
use crate::config::{Bot, BotChannel};
use crate::engine::{Command, Event, HubNote};
use talk::Talk;
use wire::Who;

pub use channels::openapi;

/// Callers who talk with bots at the same time; further ones are refused.
pub const MOST_TALKS: usize = 10_000;

/// What the dialect is made of.
pub struct Options {
    /// `[bot]`, checked.
    pub bot: Bot,
    /// The edge's own domain: numbers are dialled there.
    pub domain: String,
    /// The engine.
    pub edge: EngineHandle,
    /// Asks the bots.
    pub hooks: Client,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("bot", &self.bot)
            .finish_non_exhaustive()
    }
}

/// What all talks share.
struct Shared {
    domain: String,
    edge: EngineHandle,
    hooks: Client,
    sounds: Shop,
}

/// Starts to answer the callers of every channel; gives the paths that a bot asks.
///
/// Must be called within a Tokio runtime.
pub fn start(options: Options) -> Router {
    let Options {
        bot,
        domain,
        edge,
        hooks,
    } = options;
    let routes = channels::routes(&bot);
    let sounds = Shop::new(hooks.clone(), None, edge.sounds().clone());
    let shared = Arc::new(Shared {
        domain,
        edge,
        hooks,
        sounds,
    });
    tokio::spawn(answer_all(shared, bot.channels.into_iter().map(Arc::new).collect()));
    routes
}

/// Reads the event log for all talks, and begins one for every caller.
async fn answer_all(shared: Arc<Shared>, channels: Vec<Arc<BotChannel>>) {
    let mut events = shared.edge.events(None);
    let mut followers = Followers::default();
    loop {
        let stamped = match events.next().await {
            Happened::Event(stamped) => stamped,
            Happened::Missed { from, to } => {
                tracing::warn!(from, to, "bots missed events");
                followers.missed();
                continue;
            }
        };
        followers.hand_on(&stamped);
        let Event::Hub(HubNote::Arrived {
            call,
            leg,
            application,
            from,
            to,
            headers,
        }) = &stamped.event
        else {
            continue;
        };
        let Some(channel) = channels.iter().find(|channel| channel.application == *application) else {
            continue;
        };
        if followers.count() >= MOST_TALKS {
            let (edge, leg) = (shared.edge.clone(), *leg);
            tokio::spawn(async move { edge.command(Command::Reject { leg, status: 503 }).await });
            continue;
        }
        let who = Who {
            bot_id: channel.bot_id.clone(),
            channel: channel.name.clone(),
            caller: user_of(from).to_owned(),
            extension: user_of(to).to_owned(),
            headers: headers.clone(),
        };
        let follower = followers.follow(*call, *leg);
        let at = super::moment(stamped.at);
        let talk = Talk::new(
            Arc::clone(&shared),
            Arc::clone(channel),
            who,
            (*call, *leg),
            at,
            from.clone(),
            follower,
        );
        tokio::spawn(talk.run());
    }
}

/// The user part of an address: a number, or a name.
fn user_of(address: &str) -> &str {
    let rest = address.split_once(':').map_or(address, |(_, rest)| rest);
    let rest = rest.split(['@', ';', '?', '>']).next().unwrap_or_default();
    rest.split(';').next().unwrap_or_default()
}

/// How many replies an answer has, for [`answers`](super::answers).
pub(super) fn replies(octets: &[u8]) -> Option<usize> {
    wire::answer(octets).ok().map(|answer| answer.replies.len())
}
