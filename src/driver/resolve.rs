//! Host names of the configuration become addresses before anything starts; from then on the engine asks for them again.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use super::bind::StartError;
use super::dns::Dns;
use super::tls::{KeyFiles, TlsOptions};
use super::{ListenerOptions, MediaFiles, Options, RecordOptions, SoftphoneOptions, clock};
use crate::config::{Config, PemFiles};
use crate::engine::{Network, Settings};
use crate::media::PromptName;

/// What stands in the configuration instead of a file for the edge's own music.
const BUILTIN: &str = "builtin";

/// What the engine is told: addresses instead of names, and a sealing key that nobody knows. A store replaces the key by
/// the one of the process before ([`super::Edge::start`]).
pub async fn resolve(config: &Config) -> Result<Settings, StartError> {
    let mut known = BTreeMap::new();
    let names = config.names();
    if !names.is_empty() {
        let (dns, ours) = (Dns::new(&config.dns.servers, config.dns.timeout), config.transports());
        for target in names {
            let mut found = match dns.locate(&target.wanted(), &ours, seed()).await {
                Ok(found) => found,
                Err(why) => {
                    tracing::warn!(host = %target.host, %why, "host name not found");
                    continue;
                }
            };
            // A place that no listener can send to is no use.
            found.places.retain(|place| config.reaches(place));
            if let Some(place) = found.places.first() {
                tracing::info!(host = %target.host, address = %place.address, transport = %place.transport, places = found.places.len(), "host name found");
                known.insert((target.host.clone(), target.place.clone()), found);
            }
        }
    }
    let key = clock::random().map_err(|source| StartError::System {
        what: "random numbers",
        source,
    })?;
    Ok(config.settings(key, |target| {
        known.get(&(target.host.clone(), target.place.clone())).cloned()
    })?)
}

/// RFC 2782: which of several servers is the first is a matter of dice.
fn seed() -> u64 {
    clock::random().map_or(0, |octets| {
        u64::from_be_bytes(octets.first_chunk().copied().unwrap_or_default())
    })
}

/// What the driver is told beside the engine's settings: certificates, trust, origins.
pub fn options(config: &Config, settings: &Settings) -> Options {
    let files = |pem: &PemFiles| KeyFiles {
        certificate: PathBuf::from(&pem.certificate),
        key: PathBuf::from(&pem.key),
    };
    let mut unverified: Vec<Network> = config.tls.unverified.clone();
    if let Some(pbx) = settings.pbx.as_ref().filter(|_| !config.tls.verify_pbx) {
        unverified.push(one(pbx.address.ip()));
    }
    // The PBX comes first: a peer's network may hold it too.
    let mut clients = Vec::new();
    if let (Some(pbx), Some(shown)) = (&settings.pbx, &config.tls.pbx_identity) {
        let book = settings
            .names
            .iter()
            .filter(|name| name.host == pbx.host)
            .flat_map(|name| &name.places);
        for address in book.map(|place| place.address.ip()).chain([pbx.address.ip()]) {
            clients.push((one(address), files(shown)));
        }
    }
    clients.extend(
        config
            .tls
            .clients
            .iter()
            .map(|(network, shown)| (*network, files(shown))),
    );
    let listeners = config.tls.listeners.iter().map(|listener| ListenerOptions {
        identity: listener.identity.as_ref().map(files),
        client_ca: listener.client_ca.clone().map(PathBuf::from),
        origins: listener.origins.clone(),
    });
    Options {
        tls: TlsOptions {
            identity: config.tls.identity.as_ref().map(files),
            state: config.tls.state.clone().map(PathBuf::from).or_else(state_folder),
            ca: config.tls.ca.clone().map(PathBuf::from),
            unverified,
            clients,
        },
        name_servers: config.dns.servers.clone(),
        listeners: listeners.collect(),
        softphone: config.softphone.as_ref().map(|page| SoftphoneOptions {
            servers: page.servers.clone(),
        }),
        media: media(&config.media_files),
        records: RecordOptions {
            keep: config.records.keep,
            file: config.records.file.clone().map(PathBuf::from),
        },
        ..Options::default()
    }
}

/// The network of this one address.
fn one(address: std::net::IpAddr) -> Network {
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    Network { address, prefix }
}

fn media(files: &crate::config::MediaFiles) -> MediaFiles {
    let prompt = |(name, file): &(String, String)| {
        let file = Some(PathBuf::from(file)).filter(|_| file != BUILTIN);
        (PromptName(name.as_str().into()), file)
    };
    MediaFiles {
        prompts: files.prompts.iter().map(prompt).collect(),
        recordings: files.recordings.as_ref().map(PathBuf::from),
    }
}

/// Where programs keep what they made themselves (XDG Base Directory Specification).
fn state_folder() -> Option<PathBuf> {
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    folder.map(|folder| folder.join("warmline"))
}
