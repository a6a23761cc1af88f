//! One caller and one bot, from the first turn to the last.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, header};
use bytes::Bytes;
use tokio::time::Instant;

use super::Shared;
use super::listen::Heard;
use super::wire::{self, Answer, Reply, Switch, Target, Turn, Who};
use crate::api::follow::Follower;
use crate::api::time::now;
use crate::api::{CommandError, moment};
use crate::config::BotChannel;
use crate::engine::{AudienceHandle, CallHandle, Cause, Command, Event, LegHandle, MediaNote, Role};
use crate::vocabulary::Moment;

/// Turns of one talk; a bot that goes on beyond is one that goes on for ever.
const MOST_TURNS: u32 = 2_000;
/// How often a bot is asked one thing.
const TRIES: u32 = 2;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(300);
/// Keys of one query.
const MOST_DIGITS: usize = 64;
/// How long a sound may take. Nobody listens longer.
const LONGEST_SOUND: Duration = Duration::from_secs(900);
/// For a phone to confirm our answer (64*T1, RFC 3261 §13.3.1.4).
const CONFIRMING: Duration = Duration::from_secs(32);
/// What is heard in place of a sound that cannot be had.
const BEEP: &str = "builtin:beep";
/// The longest that it lasts.
const BEEPING: Duration = Duration::from_secs(1);

/// Why a talk is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The customer's leg has ended.
    Gone(Cause),
    /// Somebody else has moved the customer elsewhere.
    Moved,
    /// The bot, or we, ended it.
    Over,
}

/// What follows when all replies are carried out.
pub(super) enum Next {
    /// It is the customer's turn.
    Listen,
    /// The bot has said something new.
    Replies(Vec<Reply>),
}

/// One caller and one bot.
pub(super) struct Talk {
    pub(super) shared: Arc<Shared>,
    pub(super) channel: Arc<BotChannel>,
    pub(super) who: Who,
    pub(super) call: CallHandle,
    pub(super) leg: LegHandle,
    /// The customer's address.
    pub(super) from: String,
    pub(super) follower: Follower,
    pub(super) recorded: bool,
    id: String,
    turns: u32,
    digits: String,
}

impl Talk {
    pub(super) fn new(
        shared: Arc<Shared>,
        channel: Arc<BotChannel>,
        who: Who,
        (call, leg): (CallHandle, LegHandle),
        at: Moment,
        from: String,
        follower: Follower,
    ) -> Talk {
        Talk {
            shared,
            channel,
            who,
            call,
            leg,
            from,
            follower,
            recorded: false,
            // Handles begin anew with each process; the time does not.
            id: format!("{call}-{:x}", at.0),
            turns: 0,
            digits: String::new(),
        }
    }

    /// Answers, and talks until somebody hangs up.
    pub(super) async fn run(mut self) {
        let end = match self.talk().await {
            Err(end) => end,
            Ok(never) => match never {},
        };
        tracing::debug!(call = %self.call, ?end, turns = self.turns, "a talk with a bot is over");
        match end {
            End::Gone(_) => self.notify(&Turn::Event("hangup")),
            End::Over => self.notify(&Turn::Event("botHangup")),
            End::Moved => {}
        }
    }

    async fn talk(&mut self) -> Result<std::convert::Infallible, End> {
        let mut replies = Vec::new();
        if self.channel.ringing {
            self.order(Command::Ring { leg: self.leg }).await.ok(); // it only shows the caller that somebody is there
            replies = self.ask(&Turn::Event("ringing")).await?;
            if replies.first() == Some(&Reply::Hangup) {
                self.order(Command::Reject {
                    leg: self.leg,
                    status: 603,
                })
                .await
                .ok(); // the caller has gone by itself
                return Err(End::Over);
            }
        }
        self.answer().await?;
        if replies.is_empty() {
            replies = self.ask(&Turn::Query(self.channel.start.clone())).await?;
        }
        loop {
            replies = match self.carry_out(replies).await? {
                Next::Replies(replies) => replies,
                Next::Listen => {
                    let turn = self.listen().await?;
                    self.ask(&turn).await?
                }
            };
        }
    }

    async fn answer(&mut self) -> Result<(), End> {
        let role = self.alone();
        let leg = self.leg;
        if self.order(Command::Answer { leg, role }).await.is_err() {
            return Err(End::Gone(Cause::Lost));
        }
        let until = Some(Instant::now() + CONFIRMING);
        loop {
            match self.hear(until).await? {
                Heard::Confirmed => break,
                Heard::Digit(digit) => self.press(digit),
                Heard::Late => return Err(self.hang_up().await),
                Heard::PromptEnded(_)
                | Heard::Called(_)
                | Heard::Joined(_)
                | Heard::Left(..)
                | Heard::Referred { .. } => {}
            }
        }
        if self.channel.record {
            match self.order(Command::Record { leg }).await {
                Ok(_) => self.recorded = true,
                Err(error) => tracing::warn!(call = %self.call, %error, "a talk with a bot is not recorded"),
            }
        }
        Ok(())
    }

    /// The customer's place while it talks with the bot: it is the hub's reason to be, and hears the bot and nothing else.
    pub(super) fn alone(&self) -> Role {
        Role {
            music: Some(String::new()),
            ends: true,
            ..Role::default()
        }
    }

    async fn carry_out(&mut self, replies: Vec<Reply>) -> Result<Next, End> {
        for reply in replies {
            match reply {
                Reply::Text(text) => {
                    let brought = self.shared.voice.say(&text, &self.channel.language).await;
                    self.play(brought).await?;
                }
                Reply::Audio(url) => {
                    let brought = self.shared.voice.fetch(&url).await;
                    self.play(brought).await?;
                }
                Reply::Hangup => return Err(self.hang_up().await),
                // What the bot said behind it, it said before it knew what came of it.
                Reply::Switch(switch) => return Ok(Next::Replies(self.switch(&switch).await?)),
            }
        }
        Ok(Next::Listen)
    }

    /// Plays a sound to its end; without one a tone, and an event that says so.
    async fn play(&mut self, brought: Result<String, String>) -> Result<(), End> {
        let sound = brought.unwrap_or_else(|why| {
            tracing::warn!(call = %self.call, why, "a reply of a bot cannot be heard");
            let prompt = format!("bot reply: {why}");
            self.shared
                .edge
                .tell(Event::Media(MediaNote::PromptMissing { leg: self.leg, prompt }));
            BEEP.to_owned()
        });
        let longest = if sound == BEEP { BEEPING } else { LONGEST_SOUND };
        let order = Command::Play {
            to: AudienceHandle::Leg(self.leg),
            sound: sound.clone(),
            again: false,
        };
        if let Err(error) = self.order(order).await {
            tracing::debug!(call = %self.call, %error, "a reply of a bot is not played");
            return Ok(());
        }
        let until = Some(Instant::now() + longest);
        loop {
            match self.hear(until).await? {
                Heard::PromptEnded(prompt) if prompt == sound => return Ok(()),
                Heard::Late => return Ok(()),
                Heard::Digit(digit) => self.press(digit),
                Heard::PromptEnded(_)
                | Heard::Confirmed
                | Heard::Called(_)
                | Heard::Joined(_)
                | Heard::Left(..)
                | Heard::Referred { .. } => {}
            }
        }
    }

    pub(super) fn press(&mut self, digit: char) {
        if self.digits.len() < MOST_DIGITS {
            self.digits.push(digit);
        }
    }

    /// What the customer presses; it is complete after `#`, or a pause.
    async fn listen(&mut self) -> Result<Turn, End> {
        let silence = self.channel.silence.map(|silence| Instant::now() + silence);
        let mut until = silence;
        loop {
            if self.digits.ends_with('#') && self.digits.len() > 1 {
                self.digits.pop();
                return Ok(Turn::Query(std::mem::take(&mut self.digits)));
            }
            if !self.digits.is_empty() {
                until = Some(Instant::now() + self.channel.pause);
            }
            match self.hear(until).await? {
                Heard::Digit(digit) => self.press(digit),
                Heard::Late if self.digits.is_empty() => return Ok(Turn::Event("noDtmfAnswerEvent")),
                Heard::Late => return Ok(Turn::Query(std::mem::take(&mut self.digits))),
                Heard::PromptEnded(_)
                | Heard::Confirmed
                | Heard::Called(_)
                | Heard::Joined(_)
                | Heard::Left(..)
                | Heard::Referred { .. } => {}
            }
        }
    }

    /// One turn. A bot that cannot be asked is replaced by the channel's fallback.
    pub(super) async fn ask(&mut self, turn: &Turn) -> Result<Vec<Reply>, End> {
        if self.turns >= MOST_TURNS {
            tracing::warn!(call = %self.call, "a bot goes on for ever");
            return Err(self.hang_up().await);
        }
        let mut why = String::new();
        for attempt in 1..=TRIES {
            match self.exchange(turn).await {
                Ok(Answer { replies, passed_over }) => {
                    if !passed_over.is_empty() {
                        self.failed(&format!("passed over: {}", passed_over.join("; ")), attempt);
                    }
                    return Ok(replies);
                }
                Err(error) => why = error,
            }
            if attempt < TRIES {
                tokio::time::sleep(PAUSE).await;
            }
        }
        self.failed(&why, TRIES);
        match self.channel.fallback.clone() {
            // Once: what follows is no bot's business any more.
            Some(address) => Ok(vec![
                Reply::Switch(Box::new(Switch::to(Target::Address(address)))),
                Reply::Hangup,
            ]),
            None => Err(self.hang_up().await),
        }
    }

    async fn exchange(&mut self, turn: &Turn) -> Result<Answer, String> {
        let request = self.request(turn);
        let answer = self
            .shared
            .hooks
            .send(request)
            .await
            .map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("the answer was {}", answer.status().as_u16()));
        }
        wire::answer(answer.body())
    }

    fn request(&mut self, turn: &Turn) -> Request<Bytes> {
        self.turns += 1;
        let body = self.who.request(turn, &self.id, self.turns, &moment(now()).to_string());
        let mut request = Request::new(Bytes::from(body.to_string()));
        *request.method_mut() = axum::http::Method::POST;
        // One that cannot be read is refused by who sends it.
        *request.uri_mut() = self.channel.url.parse().unwrap_or_default();
        let json = header::HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        request
    }

    /// Tells the bot something that it need not answer; again if it is not there.
    pub(super) fn notify(&mut self, turn: &Turn) {
        let request = self.request(turn);
        self.shared.hooks.queue(&self.id, request);
    }

    /// Says in an event that a bot was not reached, or said what cannot be used.
    fn failed(&self, why: &str, tries: u32) {
        // What follows the host may be secret, and so may what stands before it.
        let (scheme, rest) = self.channel.url.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        self.shared.edge.tell(Event::WebhookFailed {
            to: format!("{scheme}://{host}"),
            why: why.to_owned(),
            tries,
        });
    }

    pub(super) async fn hang_up(&mut self) -> End {
        self.order(Command::HangUpCall { call: self.call }).await.ok(); // it has ended by itself
        End::Over
    }

    pub(super) async fn order(&self, command: Command) -> Result<crate::engine::Reply, CommandError> {
        self.shared.edge.command(command).await
    }
}
