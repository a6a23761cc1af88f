//! SIGHUP: the file is read again, and what may change while calls are up changes.

use std::path::PathBuf;

use tracing_subscriber::{EnvFilter, Registry, reload};

use super::{file, run};
use crate::api::audit;
use crate::api::native::Access;
use crate::config::Config;
use crate::driver::{self, Edge};

/// Sets the level of what is logged.
pub(super) type Level = reload::Handle<EnvFilter, Registry>;

/// What is running, and where its file is.
pub(super) struct Reload {
    pub(super) path: PathBuf,
    pub(super) running: Config,
    pub(super) access: Option<Access>,
    pub(super) level: Option<Level>,
    pub(super) audited: Option<audit::Sink>,
}

impl Reload {
    /// Reads the file again. A bad one changes nothing and is told whole, as `warmline check` would.
    pub(super) async fn again(&mut self, edge: &Edge) {
        // Whoever moves the file of call records away sends SIGHUP, whatever this configuration says.
        edge.records().reopen();
        let new = match file::read(&self.path) {
            Ok(new) => new,
            Err(failure) => {
                failure.tell(); // the exit code in it is for a process that ends; this one goes on
                tracing::error!(file = %self.path.display(), "not reloaded: the running configuration stays");
                return;
            }
        };
        let changes = self.running.changes(&new);
        let next = self.running.reloaded(new);
        let settings = match driver::resolve(&next).await {
            Ok(settings) => settings,
            Err(error) => {
                tracing::error!(%error, "not reloaded: the running configuration stays");
                return;
            }
        };
        if let Some(access) = &self.access {
            access.set_hold(settings.hold);
            if let Some(token) = next.api.as_ref().and_then(|api| api.token.as_deref()) {
                access.set_token(token);
            }
        }
        if let Some(level) = &self.level {
            level.reload(run::filter(next.log)).ok(); // the subscriber lives as long as the process
        }
        // The same files under the same names: a renewed certificate.
        if let Err(error) = edge.reload_certificates(&settings, &driver::options(&next, &settings)) {
            tracing::error!(%error, "certificates not read again: connections are made with those of before");
        }
        edge.reload(settings);
        self.running = next;
        tracing::info!(taken = %changes.taken.join("; "), left = %changes.left.join(", "), "reloaded");
        if let Some(sink) = &self.audited {
            sink(serde_json::json!({"what": "reloaded", "changes": changes.to_string()}));
        }
        super::say::say!("reloaded: {changes}");
    }
}
