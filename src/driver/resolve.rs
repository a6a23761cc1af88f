//! Host names of the configuration become addresses, once, before anything starts.

use std::collections::BTreeMap;

use tokio::net::lookup_host;

use super::bind::StartError;
use super::clock;
use crate::config::Config;
use crate::engine::Settings;

/// What the engine is told: addresses instead of names, and a sealing key that nobody knows. A store replaces the key by
/// the one of the process before ([`super::Edge::start`]).
pub async fn resolve(config: &Config) -> Result<Settings, StartError> {
    let mut known = BTreeMap::new();
    for target in config.names() {
        if let Ok(addresses) = lookup_host((target.host.as_str(), target.port)).await {
            // The resolver orders them (RFC 6724); an address that no listener can send to is no use.
            if let Some(address) = addresses.into_iter().find(|address| config.reaches(address.ip())) {
                known.insert(target.host.clone(), address.ip());
            }
        }
    }
    let key = clock::random().map_err(|source| StartError::System {
        what: "random numbers",
        source,
    })?;
    Ok(config.settings(key, |target| {
        known.get(&target.host).map(|ip| (*ip, target.port).into())
    })?)
}
