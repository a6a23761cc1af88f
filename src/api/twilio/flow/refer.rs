//! Refer: the party calls somebody else by itself (RFC 3515).

use std::time::Duration;

use super::super::address;
use super::super::call::Signal;
use super::super::twiml::Target;
use super::{Flow, Stop, deadline};
use crate::engine::{Command, Refusal};

/// For the last NOTIFY to come.
const PATIENCE: Duration = Duration::from_secs(120);

impl Flow {
    pub(super) async fn refer(&mut self, action: Option<&Target>, to: &str) -> Result<(), Stop> {
        self.answer().await?;
        let leg = self.leg;
        let Some(to) = address::uri(to, &self.app.domain) else {
            return self.action(action, vec![("ReferCallStatus", "failed".to_owned())]);
        };
        let accepted = match self.app.order(Command::Refer { leg, to }).await {
            Ok(_) => 202,
            Err(crate::api::CommandError::Refused(Refusal::Party { status })) => status,
            Err(error) => {
                tracing::warn!(call = %self.sid, %error, "the party cannot be referred");
                500
            }
        };
        let mut more = vec![("ReferSipResponseCode", accepted.to_string())];
        if accepted >= 300 {
            more.push(("ReferCallStatus", "failed".to_owned()));
            return self.action(action, more); // it is still here
        }
        let until = deadline(PATIENCE);
        let mut told = 0;
        while let Some(signal) = self.next(Some(until)).await? {
            if let Signal::Referred { status, last } = signal {
                told = status;
                if last {
                    break;
                }
            }
        }
        let word = match told {
            100..=299 => "in-progress",
            486 | 600 | 603 => "busy",
            487 => "canceled",
            _ => "failed",
        };
        more.push(("NotifySipResponseCode", told.to_string()));
        more.push(("ReferCallStatus", word.to_owned()));
        self.told_of_refer(action, more).await
    }

    /// Asks `action` even if the party has left: it was sent away, and this is how the application learns that it went.
    async fn told_of_refer(&mut self, action: Option<&Target>, more: Vec<(&str, String)>) -> Result<(), Stop> {
        let Some(action) = action else { return Ok(()) };
        let mut form = self.parameters();
        form.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let asked = self.app.document(&self.absolute(action), &form).await;
        let document = asked.map_err(|_| Stop::HangUp)?;
        self.base = document.base.or(self.base.take());
        Box::pin(self.verbs(&document.verbs)).await?;
        Err(Stop::HangUp)
    }
}
