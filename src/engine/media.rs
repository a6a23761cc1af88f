//! What the packet half of media tells, and what API clients order of it.

use std::time::Instant;

use super::{Engine, Event, HubNote, MediaNote, Refusal, Reply};
use crate::call::hub::BEEP;
use crate::leg::Leg;
use crate::media::{MediaEvent, MediaFailure, PromptName};
use crate::vocabulary::{CallHandle, Cause, CommandId, HoldDirection, LegHandle};

impl Engine {
    pub(super) fn media_event(&mut self, now: Instant, event: MediaEvent) {
        let note = match event {
            MediaEvent::Flowing { leg } => MediaNote::Flowing { leg },
            MediaEvent::Silent { leg, seconds } => {
                self.event(Event::Media(MediaNote::Silent { leg, seconds }));
                let limit = self.settings.media.timeout_s;
                // A caller who still hears ringing says nothing by right.
                if limit > 0 && seconds >= limit && self.legs().get(leg).is_some_and(Leg::is_confirmed) {
                    self.legs().lose(now, leg, Cause::Lost);
                }
                return;
            }
            MediaEvent::OneWay { leg, unheard } => MediaNote::OneWay { leg, unheard },
            MediaEvent::Digit {
                leg,
                digit,
                milliseconds,
            } => MediaNote::Digit {
                leg,
                digit,
                milliseconds,
            },
            MediaEvent::PromptEnded { leg, name } => MediaNote::PromptEnded {
                leg,
                prompt: name.0.into(),
            },
            MediaEvent::PromptMissing { leg, name } => MediaNote::PromptMissing {
                leg,
                prompt: name.0.into(),
            },
            MediaEvent::Recorded {
                leg,
                name,
                milliseconds,
            } => MediaNote::RecordingFinished {
                leg,
                recording: name.0.into(),
                milliseconds,
            },
            MediaEvent::Failed { leg, why } => {
                if matches!(why, MediaFailure::Port { .. }) {
                    self.legs().lose_port(leg);
                    // A call that is not answered yet is brought together after its ACK.
                    if let Ok(call) = self.transfers.calls.connected_call(leg) {
                        self.transfers.calls.bring_together(now, call, None);
                    } else if self.is_in_hub(leg) {
                        self.transfers.calls.settle_member(now, leg);
                    }
                }
                MediaNote::Failed {
                    leg,
                    why: why.to_string(),
                }
            }
            MediaEvent::Speaking { call, leg, on } => {
                self.transfers.calls.note_speaking(call, leg, on);
                self.event(Event::Hub(HubNote::Speaking { call, leg, on }));
                return;
            }
            // The edge's own tone: nobody ordered it.
            MediaEvent::Announced { name, .. } if name.0 == BEEP => return,
            MediaEvent::Announced { call, name } => {
                let sound = name.0.into();
                self.event(Event::Hub(HubNote::Announced { call, sound }));
                return;
            }
            MediaEvent::HubRecorded {
                call,
                name,
                milliseconds,
            } => {
                self.event(Event::Hub(HubNote::Recorded {
                    call,
                    recording: name.0.into(),
                    milliseconds,
                }));
                return;
            }
            MediaEvent::Quality { leg, quality } => {
                self.legs().note_quality(leg, quality);
                return;
            }
        };
        self.event(Event::Media(note));
    }

    /// Holds a party, with a prompt of its own if one is named.
    pub(super) fn hold(
        &mut self,
        now: Instant,
        id: CommandId,
        leg: LegHandle,
        direction: HoldDirection,
        music: Option<&str>,
    ) -> Result<(), Refusal> {
        if let Some(music) = music {
            if !self.settings.prompts.iter().any(|known| known == music) {
                let why = format!("there is no prompt `{music}` in the configuration");
                return Err(Refusal::Invalid { field: "music", why });
            }
            if direction == HoldDirection::Inactive {
                let why = "a party that is held `inactive` hears nothing".to_owned();
                return Err(Refusal::Invalid { field: "music", why });
            }
        }
        self.transfers.calls.connected_call(leg)?;
        self.legs().set_music(leg, music.map(|music| PromptName(music.into())));
        self.transfers.calls.hold(now, id, leg, Some(direction))
    }

    /// Plays DTMF to a party.
    pub(super) fn digits(&mut self, leg: LegHandle, digits: &str) -> Result<Reply, Refusal> {
        let good = |digit: char| matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D');
        if digits.is_empty() || digits.len() > 64 || !digits.chars().all(good) {
            return Err(Refusal::Invalid {
                field: "digits",
                why: "1 to 64 of 0-9, *, #, A-D".to_owned(),
            });
        }
        self.alive(leg)?;
        if self.legs().play_digits(leg, digits) {
            return Ok(Reply::Done);
        }
        Err(Refusal::Conflict {
            why: format!("the media of {leg} does not pass through the edge; set media = \"relay\" for its peer"),
        })
    }

    /// Begins or ends the recording of a leg. Its call moves to the edge for it, and back.
    pub(super) fn record(&mut self, now: Instant, leg: LegHandle, on: bool) -> Result<Reply, Refusal> {
        if on && !self.settings.recordings {
            let why = "nothing can be recorded: add recordings = \"folder\" to [media]".to_owned();
            return Err(Refusal::Conflict { why });
        }
        self.alive(leg)?;
        let name = if on {
            Some(self.legs().record(leg))
        } else if self.legs().stop_recording(leg) {
            None
        } else {
            let why = format!("{leg} is not recorded");
            return Err(Refusal::Conflict { why });
        };
        // One that is busy with another offer is brought together at its end.
        if let Ok(call) = self.transfers.calls.connected_call(leg) {
            self.transfers.calls.bring_together(now, call, None);
        }
        Ok(match name {
            Some(name) => Reply::Recording(name.0.into()),
            None => Reply::Done,
        })
    }

    /// Records a hub.
    pub(super) fn record_hub(&mut self, call: CallHandle) -> Result<Reply, Refusal> {
        if !self.settings.recordings {
            let why = "nothing can be recorded: add recordings = \"folder\" to [media]".to_owned();
            return Err(Refusal::Conflict { why });
        }
        let name = self.transfers.calls.record_hub(call)?;
        Ok(Reply::Recording(name.0.into()))
    }

    fn alive(&self, leg: LegHandle) -> Result<(), Refusal> {
        let known = self.transfers.calls.legs.get(leg).is_some_and(|leg| leg.is_confirmed());
        if known {
            return Ok(());
        }
        Err(Refusal::NotFound {
            what: "leg",
            handle: leg.to_string(),
        })
    }
}
