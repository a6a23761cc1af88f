//! Dial: other parties, a conference, or somebody from a queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::super::address;
use super::super::call::{Call, Direction, Signal, Status};
use super::super::sid::Sid;
use super::super::twiml::{Dial, DialTo, Noun};
use super::{Flow, Plan, Source, Stop, deadline};
use crate::api::time;
use crate::engine::{AudienceHandle, CallHandle, Command, Role};

/// What came of it, for its action.
pub(in crate::api::twilio) struct Dialled {
    pub(super) status: Status,
    pub(super) call: Option<Sid>,
    pub(super) seconds: u64,
    pub(super) bridged: bool,
}

impl Flow {
    pub(super) async fn dial(&mut self, dial: &Dial) -> Result<(), Stop> {
        self.more |= dial.action.is_some();
        let done = match &dial.to {
            DialTo::Conference(noun) => self.conference(dial, noun).await?,
            DialTo::Queue(noun) => self.dial_queue(dial, noun).await?,
            DialTo::Parties(parties) => self.parties(dial, parties).await?,
            DialTo::Nobody => return Ok(()),
        };
        let status = match done.status {
            Status::InProgress | Status::Queued | Status::Ringing => Status::Completed,
            Status::Completed | Status::Busy | Status::Failed | Status::NoAnswer | Status::Canceled => done.status,
        };
        let mut more = vec![
            ("DialCallStatus", status.as_str().to_owned()),
            ("DialBridged", done.bridged.to_string()),
        ];
        if let Some(call) = done.call {
            more.push(("DialCallSid", call.to_string()));
            more.push(("DialCallDuration", done.seconds.to_string()));
        }
        self.action(dial.action.as_ref(), more)
    }

    async fn parties(&mut self, dial: &Dial, parties: &[Noun]) -> Result<Dialled, Stop> {
        let leg = self.leg;
        if dial.answer_on_bridge && !self.answered {
            self.app.try_order(Command::Ring { leg }).await;
        } else {
            self.answer().await?;
            self.ringback().await;
        }
        let rounds: Vec<&[Noun]> = if dial.sequential {
            parties.chunks(1).collect()
        } else {
            vec![parties]
        };
        let mut last = (Status::Failed, None);
        for round in rounds {
            match self.ring(dial, round).await {
                Ok(Ok(child)) => {
                    self.quieten().await;
                    return self.bridge(dial, child).await;
                }
                Ok(Err(failed)) => last = failed,
                Err(stop) => {
                    self.quieten().await;
                    return Err(stop);
                }
            }
        }
        self.quieten().await;
        let (status, call) = last;
        Ok(Dialled {
            status,
            call,
            seconds: 0,
            bridged: false,
        })
    }

    async fn ringback(&self) {
        let to = AudienceHandle::Leg(self.leg);
        if let Ok(sound) = self.app.sounds.tone(&[440, 480], 2_000, 4_000).await {
            let again = true;
            self.app.try_order(Command::Play { to, sound, again }).await;
        }
    }

    async fn quieten(&self) {
        if self.answered {
            let to = AudienceHandle::Leg(self.leg);
            self.app.try_order(Command::StopPlaying { to }).await;
        }
    }

    /// Calls them all; the first that is ready wins, and the others are let go.
    async fn ring(&mut self, dial: &Dial, parties: &[Noun]) -> Result<Result<Flow, (Status, Option<Sid>)>, Stop> {
        let mut rings = JoinSet::new();
        let mut calls = Vec::new();
        for noun in parties {
            let Some((sid, ring)) = self.child(dial, noun) else {
                continue;
            };
            calls.push(sid);
            rings.spawn(ring);
        }
        let won = loop {
            tokio::select! {
                biased;
                done = rings.join_next() => match done {
                    Some(Ok(Some(child))) => break Ok(Some(child)),
                    Some(Ok(None) | Err(_)) => {}
                    None => break Ok(None),
                },
                signal = self.next(None) => if let Err(stop) = signal { break Err(stop) },
            }
        };
        rings.abort_all();
        let winner = won
            .as_ref()
            .ok()
            .and_then(|child| child.as_ref())
            .map(|child| child.sid.clone());
        for sid in calls.iter().filter(|sid| Some(*sid) != winner.as_ref()) {
            self.app.hang_up(sid).await;
        }
        match won? {
            Some(child) => Ok(Ok(child)),
            None => {
                let state = self.app.state();
                let last = calls.last().cloned();
                let status = last
                    .as_ref()
                    .and_then(|sid| state.calls.get(sid))
                    .map(|call| call.status);
                Ok(Err((status.unwrap_or(Status::Failed), last)))
            }
        }
    }

    /// A call for one of the nouns, and what there is to do until it is ready to be joined.
    fn child(&self, dial: &Dial, noun: &Noun) -> Option<(Sid, impl Future<Output = Option<Flow>> + Send + 'static)> {
        let app = Arc::clone(&self.app);
        let Some(to) = address::uri(&noun.to, &app.domain) else {
            tracing::warn!(call = %self.sid, "Dial names somebody that has no address");
            return None;
        };
        let caller = {
            let state = app.state();
            state.calls.get(&self.sid).map(|call| match call.direction {
                Direction::Inbound => call.from.clone(),
                Direction::OutboundApi | Direction::OutboundDial => call.to.clone(),
            })
        };
        let from = dial.caller_id.clone().or(caller).unwrap_or_default();
        let plan = Plan {
            to,
            from: address::uri(&from, &app.domain),
            timeout: dial.timeout,
            credentials: noun.credentials.clone(),
            digits: noun.digits.clone(),
            longest: None,
        };
        let mut call = Call::new(Direction::OutboundDial, &from, &noun.to, time::now());
        call.parent = Some(self.sid.clone());
        call.callback = noun.callback.clone().map(|mut callback| {
            callback.target = self.absolute(&callback.target);
            callback
        });
        let whisper = noun.whisper.as_ref().map(|target| self.absolute(target));
        let (sid, inbox) = app.add_call(call);
        let ring = {
            let sid = sid.clone();
            async move {
                let mut child = app.dial_out(sid, inbox, plan).await?;
                if let Some(whisper) = whisper {
                    // What the callee hears alone; it may hang up instead of being joined.
                    let heard = Box::pin(child.document(Source::voice(whisper, None))).await;
                    if !matches!(heard, Ok(()) | Err(Stop::Goto(_))) {
                        child.hang_up().await;
                        return None;
                    }
                }
                Some(child)
            }
        };
        Some((sid, ring))
    }

    /// Joins the two, and waits until one of them has had enough.
    async fn bridge(&mut self, dial: &Dial, mut child: Flow) -> Result<Dialled, Stop> {
        if self.answer().await.is_err() {
            child.hang_up().await;
            return Err(Stop::HangUp);
        }
        let home = self.app.state().calls.get(&self.sid).and_then(|call| call.home);
        let Some(to) = home else { return Err(Stop::HangUp) };
        let (leg, role) = (child.leg, Role::default());
        if let Err(error) = self.app.order(Command::Move { leg, to, role }).await {
            tracing::warn!(call = %self.sid, %error, "the two could not be joined");
            child.hang_up().await;
            return Ok(failed(child.sid));
        }
        if dial.record {
            self.app
                .record_hub(
                    &self.sid,
                    to,
                    dial.record_callback.as_ref().map(|target| self.absolute(target)),
                )
                .await;
        }
        let began = Instant::now();
        let ended = self.together(dial, &mut child, to).await;
        let seconds = (began.elapsed() + Duration::from_millis(500)).as_secs();
        match ended {
            // A client wants something else of the callee: it goes its own way.
            Ok(Some(Stop::Goto(source))) => {
                if child.come_home().await.is_ok() {
                    tokio::spawn(go_on(child, source));
                    return Ok(done(None, seconds));
                }
            }
            Ok(Some(Stop::Ended | Stop::HangUp | Stop::Dequeued(_) | Stop::Leave) | None) => {}
            Err(stop) => {
                child.hang_up().await;
                return Err(stop);
            }
        }
        let sid = child.sid.clone();
        child.hang_up().await;
        Ok(done(Some(sid), seconds))
    }

    /// Until the callee stops, why; or until time or a key ends it.
    async fn together(&mut self, dial: &Dial, child: &mut Flow, hub: CallHandle) -> Result<Option<Stop>, Stop> {
        let until = deadline(dial.longest);
        loop {
            tokio::select! {
                biased;
                own = self.next(Some(until)) => match own? {
                    None => return Ok(None),
                    Some(Signal::Digit('*')) if dial.hangup_on_star => return Ok(None),
                    Some(_) => {}
                },
                other = child.next(None) => match other {
                    Err(stop) => return Ok(Some(stop)),
                    Ok(Some(Signal::Left(from))) if from == hub => return Ok(Some(Stop::Ended)),
                    Ok(_) => {}
                },
            }
        }
    }
}

/// Somebody who goes on alone.
fn go_on(flow: Flow, source: Source) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(flow.run(source))
}

fn failed(call: Sid) -> Dialled {
    Dialled {
        status: Status::Failed,
        call: Some(call),
        seconds: 0,
        bridged: false,
    }
}

fn done(call: Option<Sid>, seconds: u64) -> Dialled {
    Dialled {
        status: Status::Completed,
        call,
        seconds,
        bridged: true,
    }
}
