//! Joins the media thread to the engine's: what both must know of each other before they start.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{MediaOptions, MediaThread};
use crate::driver::dtls_certificate;
use crate::driver::{StartError, clock};
use crate::engine::Settings;
use crate::media::audio::Pcm;
use crate::media::{MediaEvent, PromptName};
use crate::observe::Metrics;
use crate::transport::Transport;

/// Files of media.
#[derive(Clone, Debug, Default)]
pub struct MediaFiles {
    /// Prompts by name: WAV, MP3 or OGG; `None` instead of a file: the hold music that the edge brings with it.
    pub prompts: Vec<(PromptName, Option<PathBuf>)>,
    /// The folder of recordings, made if it is not there; `None`: nothing is recorded.
    pub recordings: Option<PathBuf>,
}

/// Starts the media thread, and tells the settings what the describing half has to write: the certificate's fingerprint, the
/// shared port, and a secret of this process.
pub(in crate::driver) fn wire(
    settings: &mut Settings,
    files: MediaFiles,
    metrics: &Arc<Metrics>,
    inherited: HashMap<u16, std::net::UdpSocket>,
) -> Result<(MediaThread, UnboundedReceiver<MediaEvent>), StartError> {
    let system = |what| move |source| StartError::System { what, source };
    let certificate = dtls_certificate().map_err(io::Error::other);
    let certificate = certificate.map_err(system("a DTLS certificate"))?;
    let media = &mut settings.media;
    media.fingerprint = certificate.fingerprint();
    for half in media.secret.chunks_exact_mut(16) {
        half.copy_from_slice(&clock::random().map_err(system("random numbers"))?);
    }
    let address = bind_address(settings.listeners.iter().map(|listener| listener.address.ip()));
    let browsers = settings.listeners.iter().any(|listener| match listener.transport {
        Transport::Ws | Transport::Wss => true,
        Transport::Udp | Transport::Tcp | Transport::Tls => false,
    });
    let shared = SocketAddr::new(address, media.browser_port);
    let mut options = MediaOptions::new(address, certificate);
    options.shared = Some(shared);
    options.inherited = inherited;
    // A phone may have ICE as well. Where that is all, its port is no reason not to start.
    options.elsewhere = !browsers;
    options.metrics = Arc::clone(metrics);
    options.prompts = files.prompts.into_iter().filter_map(load).collect();
    options.recordings = files.recordings.inspect(|folder| {
        if let Err(error) = std::fs::create_dir_all(folder) {
            tracing::warn!(folder = %folder.display(), %error, "recordings have no folder");
        }
    });
    if media.timeout_s > 0 {
        options.settings.silence = Duration::from_secs(media.timeout_s.into());
    }
    let (events, heard) = unbounded_channel();
    let thread = MediaThread::start(options, events).map_err(|source| StartError::Bind {
        transport: Transport::Udp,
        address: shared,
        source,
    })?;
    if let Some(shared) = thread.shared() {
        settings.media.browser_port = shared.port();
    }
    Ok((thread, heard))
}

/// A file that cannot be played is told now and when it should be heard; the edge starts without it.
fn load((name, file): (PromptName, Option<PathBuf>)) -> Option<(PromptName, Pcm)> {
    let Some(path) = file else {
        return Some((name, Pcm::builtin()));
    };
    let sound = std::fs::read(&path)
        .map_err(|error| error.to_string())
        .and_then(|octets| Pcm::load(&octets).map_err(|error| error.to_string()));
    match sound {
        Ok(pcm) => Some((name, pcm)),
        Err(error) => {
            tracing::warn!(prompt = %name.0, file = %path.display(), %error, "a prompt cannot be played");
            None
        }
    }
}

/// The listeners' address where all have the same, so that packets come from where descriptions say; else every address.
fn bind_address(mut listeners: impl Iterator<Item = IpAddr> + Clone) -> IpAddr {
    let six = listeners.clone().any(|ip| ip.is_ipv6());
    match listeners.next() {
        Some(first) if listeners.all(|other| other == first) => first,
        Some(_) | None if six => Ipv6Addr::UNSPECIFIED.into(),
        Some(_) | None => Ipv4Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_kept_and_several_become_all() {
        let bind = |listeners: &[&str]| bind_address(listeners.iter().map(|ip| ip.parse::<IpAddr>().unwrap()));
        assert_eq!(bind(&["127.0.0.1", "127.0.0.1"]).to_string(), "127.0.0.1");
        assert_eq!(bind(&["127.0.0.1", "192.0.2.1"]).to_string(), "0.0.0.0");
        assert_eq!(bind(&["0.0.0.0", "2001:db8::1"]).to_string(), "::");
        assert_eq!(bind(&[]).to_string(), "0.0.0.0");
    }
}
