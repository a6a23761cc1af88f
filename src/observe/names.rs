//! Events by name, as clients and metrics see them.

use crate::engine::{Event, HubNote, MediaNote, TransferFailure};

impl Event {
    /// Every name that [`Event::name`] can give, in alphabetical order.
    pub const NAMES: [&'static str; 42] = [
        "call.connected",
        "call.ended",
        "call.forwarded",
        "call.held",
        "call.restored",
        "call.resumed",
        "call.started",
        HubNote::NAMES[0],
        HubNote::NAMES[1],
        HubNote::NAMES[2],
        HubNote::NAMES[3],
        HubNote::NAMES[4],
        HubNote::NAMES[5],
        HubNote::NAMES[6],
        HubNote::NAMES[7],
        HubNote::NAMES[8],
        HubNote::NAMES[9],
        HubNote::NAMES[10],
        "leg.confirmed",
        "leg.ended",
        "leg.ringing",
        "leg.started",
        MediaNote::NAMES[0],
        MediaNote::NAMES[1],
        MediaNote::NAMES[2],
        MediaNote::NAMES[3],
        MediaNote::NAMES[4],
        MediaNote::NAMES[5],
        MediaNote::NAMES[6],
        MediaNote::NAMES[7],
        MediaNote::NAMES[8],
        MediaNote::NAMES[9],
        "message.refused",
        "registration.added",
        "registration.removed",
        "source.banned",
        "source.limited",
        "transfer.completed",
        "transfer.failed",
        "transfer.progress",
        "transfer.requested",
        "webhook.failed",
    ];

    /// The name under which it is serialised.
    pub fn name(&self) -> &'static str {
        match self {
            Event::RegistrationAdded { .. } => "registration.added",
            Event::RegistrationRemoved { .. } => "registration.removed",
            Event::CallStarted { .. } => "call.started",
            Event::CallConnected { .. } => "call.connected",
            Event::CallHeld { .. } => "call.held",
            Event::CallResumed { .. } => "call.resumed",
            Event::CallEnded { .. } => "call.ended",
            Event::CallForwarded { .. } => "call.forwarded",
            Event::CallRestored { .. } => "call.restored",
            Event::LegStarted { .. } => "leg.started",
            Event::LegRinging { .. } => "leg.ringing",
            Event::LegConfirmed { .. } => "leg.confirmed",
            Event::LegEnded { .. } => "leg.ended",
            Event::TransferRequested { .. } => "transfer.requested",
            Event::TransferProgress { .. } => "transfer.progress",
            Event::TransferCompleted { .. } => "transfer.completed",
            Event::TransferFailed { .. } => "transfer.failed",
            Event::MessageRefused { .. } => "message.refused",
            Event::WebhookFailed { .. } => "webhook.failed",
            Event::SourceLimited { .. } => "source.limited",
            Event::SourceBanned { .. } => "source.banned",
            Event::Media(note) => note.name(),
            Event::Hub(note) => note.name(),
        }
    }
}

impl TransferFailure {
    /// Every name that [`TransferFailure::name`] can give.
    pub const NAMES: [&'static str; 12] = [
        "cancelled",
        "interrupted",
        "join_refused",
        "no_outcome",
        "refer_refused",
        "target_busy",
        "target_gone",
        "target_no_answer",
        "target_refused",
        "target_unreachable",
        "timed_out",
        "transferee_gone",
    ];

    /// The name under which it is serialised.
    pub fn name(self) -> &'static str {
        match self {
            TransferFailure::TargetBusy => "target_busy",
            TransferFailure::TargetNoAnswer => "target_no_answer",
            TransferFailure::TargetRefused => "target_refused",
            TransferFailure::TargetUnreachable => "target_unreachable",
            TransferFailure::TransfereeGone => "transferee_gone",
            TransferFailure::TargetGone => "target_gone",
            TransferFailure::JoinRefused => "join_refused",
            TransferFailure::ReferRefused => "refer_refused",
            TransferFailure::NoOutcome => "no_outcome",
            TransferFailure::Interrupted => "interrupted",
            TransferFailure::Cancelled => "cancelled",
            TransferFailure::TimedOut => "timed_out",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_serialised_form() {
        let event = Event::MessageRefused {
            source: "192.0.2.1:5060".parse().unwrap(),
            status: None,
            why: String::new(),
        };
        assert_eq!(serde_json::to_value(&event).unwrap()["event"], event.name());
        let leg = crate::engine::LegHandle { slot: 1, generation: 2 };
        let event = Event::Media(MediaNote::OneWay { leg, unheard: true });
        let sent = serde_json::to_value(&event).unwrap();
        assert_eq!(
            (&sent["event"], &sent["leg"]),
            (&event.name().into(), &"leg-1-2".into())
        );
        let failure = TransferFailure::TargetNoAnswer;
        assert_eq!(serde_json::to_value(failure).unwrap(), failure.name());
    }

    #[test]
    fn the_lists_are_sorted_for_the_metrics() {
        assert!(Event::NAMES.is_sorted() && TransferFailure::NAMES.is_sorted());
    }
}
