//! Say, Play, Pause: what the party hears.

use std::sync::Arc;
use std::time::Duration;

use super::super::App;
use super::super::call::Signal;
use super::super::sound::NoSound;
use super::super::twiml::{Play, Say, Target, Verb};
use super::{Flow, Stop, deadline};
use crate::engine::{AudienceHandle, Command, Event};

/// The tone that stands for speech which nobody here can make: its frequency, how long it is heard, and the pause behind it.
const STAND_IN: (u32, u32, u32) = (600, 400, 200);

impl App {
    /// A text as speech. Where nobody can speak that is told, and a tone stands for it.
    pub(super) async fn speech(&self, text: &str, language: Option<&str>) -> Result<String, NoSound> {
        match self.sounds.say(text, language).await {
            Ok(name) => Ok(name),
            Err(error) => {
                self.unheard(&error);
                let (hertz, on, off) = STAND_IN;
                self.sounds.tone(&[hertz], on, off).await
            }
        }
    }

    /// Says that something will not be heard.
    pub(super) fn unheard(&self, error: &NoSound) {
        tracing::warn!(%error, "a sound cannot be played");
        self.edge.tell(Event::WebhookFailed {
            to: error.of.clone(),
            why: error.why.clone(),
            tries: 1,
        });
    }
}

impl Flow {
    pub(super) async fn say(&mut self, say: &Say) -> Result<(), Stop> {
        self.answer().await?;
        let name = self.speech(say).await?;
        self.repeat(name, say.times, false).await.map(drop)
    }

    pub(super) async fn play(&mut self, play: &Play) -> Result<(), Stop> {
        self.answer().await?;
        if let Some(digits) = &play.digits {
            return self.digits(digits).await;
        }
        let name = self.sound(&play.url).await?;
        self.repeat(name, play.times, false).await.map(drop)
    }

    pub(super) async fn pause(&mut self, length: Duration) -> Result<(), Stop> {
        let until = deadline(length);
        while self.next(Some(until)).await?.is_some() {}
        Ok(())
    }

    /// Plays what is within a Gather; a key ends it, and is given back.
    pub(super) async fn prompts(&mut self, prompts: &[Verb]) -> Result<Option<char>, Stop> {
        for prompt in prompts {
            let key = match prompt {
                Verb::Say(say) => {
                    let name = self.speech(say).await?;
                    self.repeat(name, say.times, true).await?
                }
                Verb::Play(play) => {
                    let name = self.sound(&play.url).await?;
                    self.repeat(name, play.times, true).await?
                }
                Verb::Pause(length) => self.key(deadline(*length)).await?,
                // Nothing else can stand there: the reader of documents keeps only these.
                Verb::Gather(_)
                | Verb::Record(_)
                | Verb::Dial(_)
                | Verb::Enqueue(_)
                | Verb::Redirect(_)
                | Verb::Reject { .. }
                | Verb::Refer { .. }
                | Verb::Hangup
                | Verb::Leave
                | Verb::Unknown(_) => None,
            };
            if key.is_some() {
                return Ok(key);
            }
        }
        Ok(None)
    }

    /// The next key until then.
    pub(super) async fn key(&mut self, until: tokio::time::Instant) -> Result<Option<char>, Stop> {
        loop {
            match self.next(Some(until)).await? {
                None => return Ok(None),
                Some(Signal::Digit(key)) => return Ok(Some(key)),
                Some(_) => {}
            }
        }
    }

    async fn speech(&mut self, say: &Say) -> Result<Option<String>, Stop> {
        let app = Arc::clone(&self.app);
        let spoken = self.meanwhile(app.speech(&say.text, say.language.as_deref())).await?;
        Ok(spoken.inspect_err(|error| app.unheard(error)).ok())
    }

    /// One that cannot be had is silence, and told: a call does not fail of it.
    async fn sound(&mut self, url: &str) -> Result<Option<String>, Stop> {
        let target = Target {
            url: url.to_owned(),
            method: axum::http::Method::GET,
        };
        let url = self.absolute(&target).url;
        let app = Arc::clone(&self.app);
        let fetched = self.meanwhile(app.sounds.fetch(&url)).await?;
        Ok(fetched.inspect_err(|error| app.unheard(error)).ok())
    }

    /// Plays a sound so many times, or for ever; a key ends it where one may.
    async fn repeat(&mut self, name: Option<String>, times: u32, keys: bool) -> Result<Option<char>, Stop> {
        let Some(name) = name else { return Ok(None) };
        let rounds = if times == 0 { 1 } else { times };
        for _ in 0..rounds {
            let key = self.hear(&name, times == 0, keys).await?;
            if key.is_some() {
                return Ok(key);
            }
        }
        Ok(None)
    }

    /// Plays a sound to its end.
    pub(super) async fn hear(&mut self, name: &str, again: bool, keys: bool) -> Result<Option<char>, Stop> {
        let to = AudienceHandle::Leg(self.leg);
        let sound = name.to_owned();
        if let Err(error) = self.app.order(Command::Play { to, sound, again }).await {
            tracing::warn!(call = %self.sid, %error, "a sound cannot be played");
            return Ok(None);
        }
        loop {
            match self.next(None).await? {
                Some(Signal::Played(over)) if over == name => return Ok(None),
                Some(Signal::Digit(key)) if keys => {
                    self.app.try_order(Command::StopPlaying { to }).await;
                    return Ok(Some(key));
                }
                Some(_) | None => {}
            }
        }
    }

    /// Plays keys towards the party; `w` is half a second.
    pub(super) async fn digits(&mut self, digits: &str) -> Result<(), Stop> {
        for part in digits.split_inclusive(['w', 'W']) {
            let keys: String = part
                .chars()
                .filter(|c| c.is_ascii_digit() || "*#ABCD".contains(*c))
                .take(64)
                .collect();
            if !keys.is_empty() {
                let (leg, digits) = (self.leg, keys);
                self.app.try_order(Command::Digits { leg, digits }).await;
            }
            if part.ends_with(['w', 'W']) {
                self.pause(Duration::from_millis(500)).await?;
            }
        }
        Ok(())
    }
}
