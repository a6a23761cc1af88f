//! Events as log fields: outcomes at info, state changes at debug, people redacted.

use tracing::{debug, info, warn};

use super::redact::Redact;
use crate::engine::{Event, MediaNote};

/// Writes one event to the log.
pub fn log(event: &Event) {
    let name = event.name();
    match event {
        Event::CallStarted { call, from, to, .. } => {
            info!(event = name, %call, from = %Redact(from), to = %Redact(to));
        }
        Event::CallConnected { call, .. } => info!(event = name, %call),
        Event::CallEnded { call, cause } => info!(event = name, %call, ?cause),
        Event::TransferRequested {
            transfer,
            kind,
            mode,
            transferor,
            transferee,
            target,
            target_leg: _,
        } => {
            info!(event = name, %transfer, ?kind, ?mode, %transferor, %transferee, target = %Redact(target));
        }
        Event::TransferCompleted { transfer, .. } => info!(event = name, %transfer),
        Event::TransferFailed {
            transfer,
            reason,
            status,
        } => info!(event = name, %transfer, ?reason, ?status),
        Event::TransferProgress {
            transfer,
            state,
            status,
            rule,
        } => debug!(event = name, %transfer, state, ?status, rule),
        Event::RegistrationAdded { aor, contact } | Event::RegistrationRemoved { aor, contact } => {
            debug!(event = name, aor = %Redact(aor), contact = %Redact(contact));
        }
        Event::CallForwarded { call, leg, to } => info!(event = name, %call, %leg, to = %Redact(to)),
        Event::CallRestored { call, .. } => info!(event = name, %call),
        Event::CallHeld { call, leg } | Event::CallResumed { call, leg } => debug!(event = name, %call, %leg),
        Event::LegStarted { leg, party, .. } => debug!(event = name, %leg, party = %Redact(party)),
        Event::LegRinging { leg, status } => debug!(event = name, %leg, status),
        Event::LegConfirmed { leg, .. } => debug!(event = name, %leg),
        Event::LegEnded { leg, cause } => debug!(event = name, %leg, ?cause),
        Event::Media(note) => match note {
            MediaNote::NoPort { leg, taken } => warn!(event = name, %leg, taken),
            MediaNote::PromptMissing { leg, prompt } => warn!(event = name, %leg, prompt),
            MediaNote::Failed { leg, why } => info!(event = name, %leg, why),
            MediaNote::RecordingStarted { leg, recording } => info!(event = name, %leg, recording),
            MediaNote::RecordingFinished {
                leg,
                recording,
                milliseconds,
            } => info!(event = name, %leg, recording, milliseconds),
            MediaNote::Silent { leg, seconds } => info!(event = name, %leg, seconds),
            MediaNote::OneWay { leg, unheard } => info!(event = name, %leg, unheard),
            // Which key it was may be a PIN.
            MediaNote::Digit { leg, .. } => debug!(event = name, %leg),
            MediaNote::Flowing { leg } => debug!(event = name, %leg),
            MediaNote::PromptEnded { leg, prompt } => debug!(event = name, %leg, prompt),
        },
        Event::SourceLimited { source } => warn!(event = name, %source),
        Event::SourceBanned { source, seconds } => warn!(event = name, %source, seconds),
        Event::Hub(note) => debug!(event = name, call = %note.call()),
        // A stranger can cause as many of these as it likes: at info they would be its pen.
        Event::MessageRefused { source, status, why } => debug!(event = name, %source, ?status, why),
        // Told by the API to its readers; the engine sends none.
        Event::WebhookFailed { to, why, tries } => info!(event = name, to, why, tries),
    }
}
