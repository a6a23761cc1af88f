//! One call's document, verb by verb: a task for each call that gives the engine orders and hears what came of them.
//!
//! A verb that is under way ends when its party hangs up ([`Stop::Ended`]) or when a client wants something else of the
//! call ([`Stop::Goto`]); nothing else gets in between.

mod conference;
mod dial;
mod enqueue;
mod gather;
mod media;
mod outbound;
mod record;
mod refer;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::App;
use super::call::{Signal, Status};
use super::fetch::{Document, absolute};
use super::queue::Dequeue;
use super::sid::Sid;
use super::twiml::{Target, Verb, parse};
use crate::engine::{Command, HubSettings, LegHandle, Reply, Role};

pub(super) use outbound::Plan;
pub(super) use waiting::{announce, start_player};

/// Documents that one call may go through without its party doing anything: what redirects to itself ends there.
const MOST_DOCUMENTS: u32 = 1_000;

/// Where the next document comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A client gave it with its request.
    Text(String),
    Fetch {
        /// Absolute.
        target: Target,
        /// What is told beside the call itself.
        more: Vec<(String, String)>,
        /// Asked when the first cannot say anything.
        fallback: Option<Target>,
    },
}

impl Source {
    pub(super) fn voice(target: Target, fallback: Option<Target>) -> Source {
        Source::Fetch {
            target,
            more: Vec::new(),
            fallback,
        }
    }
}

/// Why a document does not go on to its next verb.
#[derive(Debug)]
pub(super) enum Stop {
    /// The call is over.
    Ended,
    /// The call is to be ended.
    HangUp,
    /// Another document takes its place.
    Goto(Source),
    /// Somebody takes it out of its queue.
    Dequeued(Dequeue),
    /// It leaves its queue by itself.
    Leave,
}

/// A call whose document is carried out.
pub(super) struct Flow {
    app: Arc<App>,
    pub(super) sid: Sid,
    pub(super) leg: LegHandle,
    inbox: UnboundedReceiver<Signal>,
    base: Option<Url>,
    answered: bool,
    /// Whether anything stands behind the verb that is carried out.
    more: bool,
}

impl Flow {
    pub(super) fn new(
        app: Arc<App>,
        sid: Sid,
        leg: LegHandle,
        inbox: UnboundedReceiver<Signal>,
        answered: bool,
    ) -> Flow {
        Flow {
            app,
            sid,
            leg,
            inbox,
            base: None,
            answered,
            more: false,
        }
    }

    /// Carries out documents until the call is over.
    pub(super) async fn run(mut self, first: Source) {
        let mut source = first;
        for _ in 0..MOST_DOCUMENTS {
            match self.document(source).await {
                Err(Stop::Goto(next)) => source = next,
                Err(Stop::Ended) => return,
                Ok(()) | Err(Stop::HangUp | Stop::Dequeued(_) | Stop::Leave) => break,
            }
        }
        self.hang_up().await;
    }

    /// Ends the call; one that was not answered is refused.
    pub(super) async fn hang_up(&self) {
        let leg = self.leg;
        if self.answered {
            self.app.try_order(Command::HangUpLeg { leg }).await;
        } else {
            self.app.try_order(Command::Reject { leg, status: 603 }).await;
        }
    }

    async fn document(&mut self, source: Source) -> Result<(), Stop> {
        let document = match source {
            Source::Text(text) => parse(&text)
                .map(|verbs| Document { verbs, base: None })
                .map_err(|error| {
                    tracing::warn!(call = %self.sid, %error, "a client's document is none");
                    Stop::HangUp
                })?,
            Source::Fetch { target, more, fallback } => self.fetch(&target, more, fallback.as_ref()).await?,
        };
        // One that came with a request is at no place of its own: what was there before stays the base.
        self.base = document.base.or(self.base.take());
        self.verbs(&document.verbs).await
    }

    /// The document of `target`, or of its fallback.
    async fn fetch(
        &mut self,
        target: &Target,
        more: Vec<(String, String)>,
        fallback: Option<&Target>,
    ) -> Result<Document, Stop> {
        let app = Arc::clone(&self.app);
        let mut form = self.parameters();
        form.extend(more);
        let failed = match self.meanwhile(app.document(target, &form)).await? {
            Ok(document) => return Ok(document),
            Err(failed) => failed,
        };
        let Some(fallback) = fallback else {
            return Err(Stop::HangUp);
        };
        form.push(("ErrorCode".to_owned(), failed.code.to_string()));
        form.push(("ErrorUrl".to_owned(), target.url.clone()));
        let second = self.meanwhile(app.document(fallback, &form)).await?;
        second.map_err(|_| Stop::HangUp)
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let state = self.app.state();
        let call = state.calls.get(&self.sid);
        call.map(|call| call.parameters(&self.app.account.account_sid))
            .unwrap_or_default()
    }

    /// Asks `action`, if there is one, for what comes next.
    fn action(&self, action: Option<&Target>, more: Vec<(&str, String)>) -> Result<(), Stop> {
        let Some(action) = action else { return Ok(()) };
        let more = more.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Err(Stop::Goto(Source::Fetch {
            target: self.absolute(action),
            more,
            fallback: None,
        }))
    }

    fn absolute(&self, target: &Target) -> Target {
        absolute(self.base.as_ref(), target)
    }

    /// The document's own address, for verbs whose action is that by default.
    fn same(&self, method: Method) -> Option<Target> {
        let url = self.base.as_ref()?.to_string();
        Some(Target { url, method })
    }

    async fn verbs(&mut self, verbs: &[Verb]) -> Result<(), Stop> {
        for (at, verb) in verbs.iter().enumerate() {
            self.more = at + 1 < verbs.len();
            self.verb(verb).await?;
        }
        Ok(())
    }

    async fn verb(&mut self, verb: &Verb) -> Result<(), Stop> {
        match verb {
            Verb::Say(say) => self.say(say).await,
            Verb::Play(play) => self.play(play).await,
            Verb::Pause(length) => self.pause(*length).await,
            Verb::Gather(gather) => self.gather(gather).await,
            Verb::Record(record) => self.record(record).await,
            Verb::Dial(dial) => Box::pin(self.dial(dial)).await,
            Verb::Enqueue(enqueue) => Box::pin(self.enqueue(enqueue)).await,
            Verb::Redirect(target) => Err(Stop::Goto(Source::voice(self.absolute(target), None))),
            Verb::Reject { busy } => self.reject(*busy).await,
            Verb::Refer { action, to } => self.refer(action.as_ref(), to).await,
            Verb::Hangup => Err(Stop::HangUp),
            Verb::Leave => Err(Stop::Leave),
            Verb::Unknown(name) => {
                tracing::warn!(call = %self.sid, verb = name, "a verb that this edge does not know was passed over");
                Ok(())
            }
        }
    }

    async fn reject(&mut self, busy: bool) -> Result<(), Stop> {
        if self.answered {
            return Err(Stop::HangUp);
        }
        let (leg, status) = (self.leg, if busy { 486 } else { 603 });
        let word = if busy { Status::Busy } else { Status::NoAnswer };
        self.app.enter(&self.sid, word);
        self.app.try_order(Command::Reject { leg, status }).await;
        Err(Stop::Ended)
    }

    /// Answers a caller that still waits.
    async fn answer(&mut self) -> Result<(), Stop> {
        if self.answered {
            return Ok(());
        }
        let (leg, role) = (self.leg, alone());
        match self.app.order(Command::Answer { leg, role }).await {
            Ok(_) => {
                self.answered = true;
                self.app.enter(&self.sid, Status::InProgress);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(call = %self.sid, %error, "the call cannot be answered");
                Err(Stop::HangUp)
            }
        }
    }

    /// Takes the party out of a conference or a queue, into a hub of its own.
    async fn come_home(&mut self) -> Result<(), Stop> {
        let settings = quiet();
        let gone = |error| {
            tracing::debug!(%error, "a call could not be taken back");
            Stop::HangUp
        };
        let Reply::Call(view) = self.app.order(Command::OpenHub { settings }).await.map_err(gone)? else {
            return Err(Stop::HangUp);
        };
        {
            let mut state = self.app.state();
            state.hubs.insert(view.id, super::state::Hub::Call(self.sid.clone()));
            if let Some(call) = state.calls.get_mut(&self.sid) {
                call.home = Some(view.id);
            }
        }
        let (leg, to, role) = (self.leg, view.id, alone());
        self.app.order(Command::Move { leg, to, role }).await.map_err(gone)?;
        Ok(())
    }

    /// The next thing that happens, or nothing by `until`.
    async fn next(&mut self, until: Option<Instant>) -> Result<Option<Signal>, Stop> {
        let signal = match until {
            None => self.inbox.recv().await,
            Some(until) => tokio::select! {
                biased;
                signal = self.inbox.recv() => signal,
                () = sleep_until(until) => return Ok(None),
            },
        };
        match signal {
            None | Some(Signal::Ended) => Err(Stop::Ended),
            Some(Signal::Redirect(source)) => {
                let to = crate::engine::AudienceHandle::Leg(self.leg);
                self.app.try_order(Command::StopPlaying { to }).await;
                Err(Stop::Goto(source))
            }
            Some(Signal::Dequeued(by)) => Err(Stop::Dequeued(by)),
            Some(other) => Ok(Some(other)),
        }
    }

    /// Waits for `work`, which the end of the call or a client's wish cuts short.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                // Whatever else happens meanwhile is of no interest to who waits for an answer.
                stop = self.next(None) => { stop?; }
            }
        }
    }
}

/// The place of somebody who is alone in a hub and hears what its document says.
fn alone() -> Role {
    Role {
        music: Some(String::new()),
        ..Role::default()
    }
}

/// A hub in which nothing is heard but what is played.
fn quiet() -> HubSettings {
    HubSettings {
        music: Some(String::new()),
        ..HubSettings::default()
    }
}

fn deadline(after: Duration) -> Instant {
    Instant::now() + after
}
