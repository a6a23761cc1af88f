//! Gather: keys that the party presses.

use std::time::Duration;

use super::super::twiml::Gather;
use super::{Flow, Stop, deadline};

/// Of keys that nobody limits.
const MOST: usize = 128;

impl Flow {
    pub(super) async fn gather(&mut self, gather: &Gather) -> Result<(), Stop> {
        self.answer().await?;
        if gather.speech {
            tracing::warn!(call = %self.sid, "Gather asks for speech, which this edge does not understand: keys only");
        }
        let mut digits = String::new();
        let mut finished = String::new();
        let mut key = self.prompts(&gather.prompts).await?;
        let most = gather.digits.unwrap_or(MOST);
        loop {
            if key.is_none() {
                key = self.key(deadline(gather.timeout.max(Duration::from_millis(1)))).await?;
            }
            match key.take() {
                None => break,
                Some(key) if gather.finish == Some(key) => {
                    finished = key.to_string();
                    break;
                }
                Some(key) => digits.push(key),
            }
            if digits.len() >= most {
                break;
            }
        }
        if digits.is_empty() && !gather.even_empty {
            return Ok(());
        }
        let own = self.same(gather.method.clone());
        let action = gather.action.as_ref().or(own.as_ref());
        self.action(
            action,
            vec![
                ("Digits", digits),
                ("FinishedOnKey", finished),
                ("msg", "Gather End".to_owned()),
            ],
        )
    }
}
