//! Site policy as a plugin: who reaches the desk at night, who may be transferred where, and what the desk's phones see.
//!
//! ```text
//! cargo run --example night_desk
//! ```
//!
//! The host decides when it is night (the core has no clock on the wall) and tells the plugin through a shared switch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use warmline::engine::{Command, Denied, Event, NewCall, Outgoing, Plugin, Routing, TransferAsked, TransferKind};
use warmline::sip::Uri;

/// The desk is closed at night: the guard answers in its place, and nobody is transferred to the managers.
#[derive(Debug)]
pub(crate) struct NightDesk {
    /// Set by the host at dusk, cleared at dawn.
    pub(crate) night: Arc<AtomicBool>,
    /// Who sits there at night.
    pub(crate) guard: Uri,
}

impl Plugin for NightDesk {
    fn route(&mut self, call: &NewCall<'_>) -> Routing {
        match call.target.user() {
            Some("desk") if self.night.load(Ordering::Relaxed) => Routing::To(vec![self.guard.clone()]),
            Some(number) if number.starts_with("0900") => Routing::Refuse(Denied::new(403, "Premium Numbers Are Off")),
            Some(_) | None => Routing::AsUsual,
        }
    }

    fn allow(&mut self, transfer: &TransferAsked<'_>) -> Result<(), Denied> {
        let to_manager = transfer
            .target
            .and_then(Uri::user)
            .is_some_and(|user| user.starts_with("manager"));
        match transfer.kind {
            TransferKind::Blind if to_manager => Err(Denied::new(403, "Ask The Manager First")),
            TransferKind::Blind | TransferKind::Attended | TransferKind::Replaced => Ok(()),
        }
    }

    fn rewrite(&mut self, invite: &mut Outgoing<'_>) {
        if invite.transfer {
            invite.headers.push(("X-Desk".into(), "transferred".into()));
        }
    }

    /// At night nobody is sent to the guard: such a transfer is taken back, and the caller stays where it was.
    fn observe(&mut self, _now: Instant, event: &Event) -> Vec<Command> {
        if let Event::TransferRequested {
            transfer,
            kind: TransferKind::Blind,
            target,
            ..
        } = event
            && self.night.load(Ordering::Relaxed)
            && *target == self.guard.to_string()
        {
            return vec![Command::CancelTransfer { transfer: *transfer }];
        }
        Vec::new()
    }
}

#[allow(dead_code, reason = "tests/plugin.rs uses the plugin, not the program")]
fn main() {
    use warmline::engine::{Engine, Settings};
    #[expect(clippy::disallowed_methods, reason = "this is the host: it owns the clock")]
    let now = Instant::now();
    let Ok(guard) = Uri::parse("sip:guard@127.0.0.1") else {
        return;
    };
    let night = Arc::new(AtomicBool::new(true));
    let plugin = NightDesk {
        night: night.clone(),
        guard,
    };
    let engine = Engine::new(Settings::loopback(([127, 0, 0, 1], 5060).into()), now).with_plugin(plugin);
    println!(
        "an engine with a night desk: {:?}; see examples/embed.rs for moving its bytes",
        engine.totals()
    );
}
