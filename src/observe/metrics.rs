//! Counters, and their text for Prometheus (text exposition format 0.0.4).
//!
//! Written by hand: some twenty series that are all known beforehand need no registry. Each exists from the start, with
//! zero, so that the first failure is visible as a change.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

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
    records_lost: AtomicU64,
    /// Counted by the audit log; unset: there is none.
    audit_lost: OnceLock<Arc<AtomicU64>>,
    panics: AtomicU64,
    /// In the order of [`Event::NAMES`].
    events: Vec<AtomicU64>,
    /// In the order of [`TransferFailure::NAMES`].
    failures: Vec<AtomicU64>,
    completed: AtomicU64,
    /// By status; 0: dropped in silence.
    refused: Vec<AtomicU64>,
    draining: AtomicU64,
    /// 0: there is no PBX or it was not asked yet; 1: it is silent; 2: it answers.
    pbx: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

const TRANSPORTS: [Transport; 5] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Ws,
    Transport::Wss,
];

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
        let zero = |length: usize| (0..length).map(|_| AtomicU64::new(0)).collect();
        Metrics {
            messages: Default::default(),
            send_failures: AtomicU64::new(0),
            records_lost: AtomicU64::new(0),
            audit_lost: OnceLock::new(),
            panics: AtomicU64::new(0),
            events: zero(Event::NAMES.len()),
            failures: zero(TransferFailure::NAMES.len()),
            completed: AtomicU64::new(0),
            refused: zero(700),
            draining: AtomicU64::new(0),
            pbx: AtomicU64::new(0),
        }
    }

    /// One message went this way.
    pub fn message(&self, way: Way, transport: Transport) {
        let way = match way {
            Way::In => 0,
            Way::Out => 1,
        };
        add(self.messages[place(transport)].get(way));
    }

    /// One message could not be handed to the network.
    pub fn send_failure(&self) {
        add(Some(&self.send_failures));
    }

    /// One call record could not be written.
    pub fn record_lost(&self) {
        add(Some(&self.records_lost));
    }

    /// There is an audit log, which counts here what the disk did not take.
    pub fn set_audit_lost(&self, counter: Arc<AtomicU64>) {
        self.audit_lost.set(counter).ok(); // one edge has one log
    }

    /// A piece of work panicked, and was given up.
    pub fn panicked(&self) {
        add(Some(&self.panics));
    }

    /// The edge is on its way out.
    pub fn set_draining(&self) {
        self.draining.store(1, Ordering::Relaxed);
    }

    /// Whether the edge is on its way out.
    pub fn is_draining(&self) -> bool {
        read(&self.draining) == 1
    }

    /// Whether the PBX answers.
    pub fn set_pbx_up(&self, up: bool) {
        self.pbx.store(1 + u64::from(up), Ordering::Relaxed);
    }

    /// Whether the PBX answers; `None`: there is none, or it was not asked yet.
    pub fn pbx_up(&self) -> Option<bool> {
        read(&self.pbx).checked_sub(1).map(|up| up == 1)
    }

    /// One event happened.
    pub fn event(&self, event: &Event) {
        add(named(&Event::NAMES, &self.events, event.name()));
        match event {
            Event::TransferCompleted { .. } => add(Some(&self.completed)),
            Event::TransferFailed { reason, .. } => add(named(&TransferFailure::NAMES, &self.failures, reason.name())),
            Event::MessageRefused { status, .. } => add(self.refused.get(usize::from(status.unwrap_or(0)))),
            Event::WebhookFailed { .. }
            | Event::RegistrationAdded { .. }
            | Event::RegistrationRemoved { .. }
            | Event::CallStarted { .. }
            | Event::CallConnected { .. }
            | Event::CallHeld { .. }
            | Event::CallResumed { .. }
            | Event::CallForwarded { .. }
            | Event::CallRestored { .. }
            | Event::CallEnded { .. }
            | Event::LegStarted { .. }
            | Event::LegRinging { .. }
            | Event::LegConfirmed { .. }
            | Event::LegEnded { .. }
            | Event::TransferRequested { .. }
            | Event::Media(_)
            | Event::SourceLimited { .. }
            | Event::SourceBanned { .. }
            | Event::Hub(_)
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
            (
                "warmline_dialogs",
                "Dialogs with parties, early or confirmed.",
                totals.dialogs,
            ),
            (
                "warmline_media_ports",
                "Media ports that are taken.",
                totals.media_ports,
            ),
            (
                "warmline_registrations",
                "Bindings in the registrar.",
                totals.registrations,
            ),
            (
                "warmline_transactions",
                "SIP transactions, client and server.",
                totals.transactions,
            ),
            (
                "warmline_transfers",
                "Transfers without an outcome yet.",
                totals.transfers,
            ),
        ] {
            page.family(name, "gauge", help);
            page.line(name, &[], value as u64);
        }
        let help = "1 while the edge is stopping and refuses new calls.";
        page.family("warmline_draining", "gauge", help);
        page.line("warmline_draining", &[], read(&self.draining));
        if let Some(up) = self.pbx_up() {
            page.family("warmline_pbx_up", "gauge", "Whether the PBX answers OPTIONS.");
            page.line("warmline_pbx_up", &[], u64::from(up));
        }
        page.family(
            "warmline_messages_total",
            "counter",
            "SIP messages, by way and transport.",
        );
        for transport in TRANSPORTS {
            for (way, count) in ["in", "out"].into_iter().zip(&self.messages[place(transport)]) {
                let labels = [("direction", way), ("transport", transport.param())];
                page.line("warmline_messages_total", &labels, read(count));
            }
        }
        page.family(
            "warmline_send_failures_total",
            "counter",
            "Messages that the network did not take.",
        );
        page.line("warmline_send_failures_total", &[], read(&self.send_failures));
        let help = "Call records that the disk did not take.";
        page.family("warmline_records_lost_total", "counter", help);
        page.line("warmline_records_lost_total", &[], read(&self.records_lost));
        let help = "Lines of the audit log that the disk did not take.";
        page.family("warmline_audit_lost_total", "counter", help);
        let lost = self.audit_lost.get().map_or(0, |lost| read(lost));
        page.line("warmline_audit_lost_total", &[], lost);
        page.family(
            "warmline_panics_total",
            "counter",
            "Defects that ended the work at hand and nothing else.",
        );
        page.line("warmline_panics_total", &[], read(&self.panics));
        page.family("warmline_events_total", "counter", "Events, by name.");
        for (name, count) in Event::NAMES.iter().zip(&self.events) {
            page.line("warmline_events_total", &[("event", name)], read(count));
        }
        page.family(
            "warmline_transfers_total",
            "counter",
            "Transfers that ended, by outcome.",
        );
        page.line(
            "warmline_transfers_total",
            &[("outcome", "completed")],
            read(&self.completed),
        );
        for (outcome, count) in TransferFailure::NAMES.iter().zip(&self.failures) {
            page.line("warmline_transfers_total", &[("outcome", outcome)], read(count));
        }
        page.family(
            "warmline_messages_refused_total",
            "counter",
            "Messages refused, by status; 0: dropped in silence.",
        );
        for (status, count) in self.refused.iter().enumerate() {
            // Which statuses occur is not known beforehand; those that never did would be 700 lines of noise.
            if status == 0 || read(count) > 0 {
                page.line(
                    "warmline_messages_refused_total",
                    &[("status", &status.to_string())],
                    read(count),
                );
            }
        }
        page.text
    }
}

fn add(counter: Option<&AtomicU64>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The counter beside a name of a sorted list.
fn named<'c>(names: &[&str], counters: &'c [AtomicU64], name: &str) -> Option<&'c AtomicU64> {
    names.binary_search(&name).ok().and_then(|at| counters.get(at))
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
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        writeln!(self.text, "{name}{labels} {value}").ok(); // a String takes everything
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::TransferHandle;

    #[test]
    fn every_outcome_is_there_from_the_start_and_counts() {
        let metrics = Metrics::new();
        let transfer = TransferHandle { slot: 0, generation: 0 };
        metrics.event(&Event::TransferFailed {
            transfer,
            reason: TransferFailure::TargetBusy,
            status: Some(486),
        });
        metrics.message(Way::In, Transport::Tcp);
        let page = metrics.render(&Totals {
            dialogs: 2,
            ..Totals::default()
        });
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
