//! Record: what the party says, into a file.

use std::time::Duration;

use super::super::call::Signal;
use super::super::recordings::Source as Origin;
use super::super::twiml::Record;
use super::{Flow, Stop, deadline};
use crate::engine::{Command, Reply};

impl Flow {
    pub(super) async fn record(&mut self, record: &Record) -> Result<(), Stop> {
        self.answer().await?;
        if record.beep
            && let Ok(beep) = self.app.sounds.tone(&[1_000], 300, 50).await
        {
            self.hear(&beep, false, false).await?;
        }
        let leg = self.leg;
        let name = match self.app.order(Command::Record { leg }).await {
            Ok(Reply::Recording(name)) => name,
            Ok(_) => return Ok(()),
            Err(error) => {
                tracing::warn!(call = %self.sid, %error, "the party cannot be recorded");
                return Ok(());
            }
        };
        let callback = record.callback.as_ref().map(|target| self.absolute(target));
        let sid = self
            .app
            .add_recording(&name, Some(self.sid.clone()), None, Origin::Verb, callback);
        let until = deadline(record.longest);
        let mut key = None;
        while let Some(signal) = self.next(Some(until)).await? {
            if let Signal::Digit(digit) = signal
                && record.finish.contains(digit)
            {
                key = Some(digit);
                break;
            }
        }
        self.app.try_order(Command::StopRecording { leg }).await;
        let seconds = self.recorded(&name).await?;
        let own = self.same(record.method.clone());
        let mut more = vec![
            ("RecordingUrl", self.app.recording_url(&sid)),
            ("RecordingSid", sid.to_string()),
            ("RecordingDuration", seconds.to_string()),
        ];
        more.extend(key.map(|key| ("Digits", key.to_string())));
        self.action(record.action.as_ref().or(own.as_ref()), more)
    }

    /// Its length, once the file is whole.
    async fn recorded(&mut self, wanted: &str) -> Result<u64, Stop> {
        let until = deadline(Duration::from_secs(5));
        while let Some(signal) = self.next(Some(until)).await? {
            if let Signal::Recorded { name, milliseconds } = signal
                && name == wanted
            {
                return Ok(milliseconds / 1_000);
            }
        }
        Ok(0)
    }
}
