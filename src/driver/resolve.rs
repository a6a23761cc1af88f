//! Host names of the configuration become addresses, once, before anything starts.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use tokio::net::lookup_host;

use super::bind::StartError;
use super::tls::{KeyFiles, TlsOptions};
use super::{ListenerOptions, Options, clock};
use crate::config::{Config, PemFiles};
use crate::engine::{Network, Settings};

/// What the engine is told: addresses instead of names, and a sealing key that nobody knows.
///
/// The key is made anew at each start, so that dialogs of an earlier process are answered 481 in this version.
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

/// What the driver is told beside the engine's settings: certificates, trust, origins.
pub fn options(config: &Config, settings: &Settings) -> Options {
    let files = |pem: &PemFiles| KeyFiles {
        certificate: PathBuf::from(&pem.certificate),
        key: PathBuf::from(&pem.key),
    };
    let mut unverified: Vec<Network> = config.tls.unverified.clone();
    if let Some(pbx) = settings.pbx.as_ref().filter(|_| !config.tls.verify_pbx) {
        let address = pbx.address.ip();
        let prefix = if address.is_ipv4() { 32 } else { 128 };
        unverified.push(Network { address, prefix });
    }
    let listeners = config.tls.listeners.iter().map(|listener| ListenerOptions {
        identity: listener.identity.as_ref().map(files),
        origins: listener.origins.clone(),
    });
    Options {
        tls: TlsOptions {
            identity: config.tls.identity.as_ref().map(files),
            state: config.tls.state.clone().map(PathBuf::from).or_else(state_folder),
            ca: config.tls.ca.clone().map(PathBuf::from),
            unverified,
        },
        listeners: listeners.collect(),
        ..Options::default()
    }
}

/// Where programs keep what they made themselves (XDG Base Directory Specification).
fn state_folder() -> Option<PathBuf> {
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    folder.map(|folder| folder.join("warmline"))
}
