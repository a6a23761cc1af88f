//! Counters, and their text for Prometheus (text exposition format 0.0.4).
//!
//! Written by hand: some twenty series that are all known beforehand need no registry. Each exists from the start, with
//! zero, so that the first failure is visible as a change.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::{Event, Totals, TransferFailure};
use crate::transport::Transport;

/// Which way a message went, seen from the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the edge.
    In,
    /// From the edge.
    Out,
}

/// What has been counted since the start. Shared between the driver, which counts, and the API, which shows it.
#[derive(Debug)]
pub struct Metrics {
    messages: [[AtomicU64; 2]; 5],
    send_failures: AtomicU64,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    events: BTreeMap<&'static str, u64>,
    outcomes: BTreeMap<&'static str, u64>,
    refused: BTreeMap<u16, u64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

const TRANSPORTS: [Transport; 5] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

fn place(transport: Transport) -> usize {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
        Transport::Tls => 2,
        Transport::Ws => 3,
        Transport::Wss => 4,
    }
}

impl Metrics {
    /// All zero.
    pub fn new() -> Metrics {
        let zero = |names: &[&'static str]| names.iter().map(|name| (*name, 0)).collect();
        let mut outcomes: BTreeMap<_, _> = zero(&TransferFailure::NAMES);
        outcomes.insert("completed", 0);
        let counts = Counts { events: zero(&Event::NAMES), outcomes, refused: BTreeMap::new() };
        Metrics { messages: Default::default(), send_failures: AtomicU64::new(0), counts: Mutex::new(counts) }
    }

    /// One message went this way.
    pub fn message(&self, way: Way, transport: Transport) {
        let way = match way {
            Way::In => 0,
            Way::Out => 1,
        };
        self.messages[place(transport)][way].fetch_add(1, Ordering::Relaxed);
    }

    /// One message could not be handed to the network.
    pub fn send_failure(&self) {
        self.send_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// One event happened.
    pub fn event(&self, event: &Event) {
        let mut counts = self.lock();
        *counts.events.entry(event.name()).or_default() += 1;
        match event {
            Event::TransferCompleted { .. } => *counts.outcomes.entry("completed").or_default() += 1,
            Event::TransferFailed { reason, .. } => *counts.outcomes.entry(reason.name()).or_default() += 1,
            Event::MessageRefused { status, .. } => *counts.refused.entry(status.unwrap_or(0)).or_default() += 1,
            Event::RegistrationAdded { .. }
            | Event::RegistrationRemoved { .. }
            | Event::CallStarted { .. }
            | Event::CallConnected { .. }
            | Event::CallHeld { .. }
            | Event::CallResumed { .. }
            | Event::CallEnded { .. }
            | Event::LegStarted { .. }
            | Event::LegRinging { .. }
            | Event::LegConfirmed { .. }
            | Event::LegEnded { .. }
            | Event::TransferRequested { .. }
            | Event::TransferProgress { .. } => {}
        }
    }

    /// Everything as Prometheus reads it; `totals` are the engine's at this moment.
    pub fn render(&self, totals: &Totals) -> String {
        let mut page = Page::default();
        page.family("warmline_build_info", "gauge", "The running version.");
        page.line("warmline_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        for (name, help, value) in [
            ("warmline_calls", "Calls that have not ended.", totals.calls),
            ("warmline_dialogs", "Dialogs with parties, early or confirmed.", totals.dialogs),
            ("warmline_registrations", "Bindings in the registrar.", totals.registrations),
            ("warmline_transactions", "SIP transactions, client and server.", totals.transactions),
            ("warmline_transfers", "Transfers without an outcome yet.", totals.transfers),
        ] {
            page.family(name, "gauge", help);
            page.line(name, &[], value as u64);
        }
        page.family("warmline_messages_total", "counter", "SIP messages, by way and transport.");
        for transport in TRANSPORTS {
            for (place_of_way, way) in ["in", "out"].into_iter().enumerate() {
                let count = self.messages[place(transport)][place_of_way].load(Ordering::Relaxed);
                page.line("warmline_messages_total", &[("direction", way), ("transport", transport.param())], count);
            }
        }
        page.family("warmline_send_failures_total", "counter", "Messages that the network did not take.");
        page.line("warmline_send_failures_total", &[], self.send_failures.load(Ordering::Relaxed));
        let counts = self.lock();
        page.family("warmline_events_total", "counter", "Events, by name.");
        for (name, count) in &counts.events {
            page.line("warmline_events_total", &[("event", name)], *count);
        }
        page.family("warmline_transfers_total", "counter", "Transfers that ended, by outcome.");
        for (outcome, count) in &counts.outcomes {
            page.line("warmline_transfers_total", &[("outcome", outcome)], *count);
        }
        page.family("warmline_messages_refused_total", "counter", "Messages refused, by status; 0: dropped in silence.");
        for (status, count) in &counts.refused {
            page.line("warmline_messages_refused_total", &[("status", &status.to_string())], *count);
        }
        page.text
    }

    // A counter is never half-changed, so that a lock which somebody died with still guards good numbers.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}").ok(); // a String takes everything
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        writeln!(self.text, "{name}{labels} {value}").ok(); // a String takes everything
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leg::TransferHandle;

    #[test]
    fn every_outcome_is_there_from_the_start_and_counts() {
        let metrics = Metrics::new();
        let transfer = TransferHandle { slot: 0, generation: 0 };
        metrics.event(&Event::TransferFailed { transfer, reason: TransferFailure::TargetBusy, status: Some(486) });
        metrics.message(Way::In, Transport::Tcp);
        let page = metrics.render(&Totals { dialogs: 2, ..Totals::default() });
        for line in [
            "warmline_dialogs 2",
            "warmline_transfers_total{outcome=\"target_busy\"} 1",
            "warmline_transfers_total{outcome=\"completed\"} 0",
            "warmline_events_total{event=\"transfer.failed\"} 1",
            "warmline_messages_total{direction=\"in\",transport=\"tcp\"} 1",
            "warmline_send_failures_total 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn each_family_is_declared_once_before_its_lines() {
        let page = Metrics::new().render(&Totals::default());
        let mut family = "";
        let mut seen = Vec::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap_or_default();
                assert!(!seen.contains(&family), "{family} twice");
                seen.push(family);
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line} stands under {family}");
            }
        }
    }
}
