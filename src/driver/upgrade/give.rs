//! The older process: how it lets go, and takes everything back when the newer one does not come to be.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tokio::sync::oneshot;

use super::bond::Bond;
use super::link::{LANGUAGE, Link, Name, Word, WrittenFlow};
use crate::store::{Store, StoreError};
use crate::transport::Flow;

/// For the newer process to open the store and everything else; calls wait for as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens the store again.
type Reopen = Box<dyn Fn() -> Result<Box<dyn Store>, StoreError> + Send>;

/// An order to hand everything over.
pub struct HandOver {
    link: Link,
    api: Option<TcpListener>,
    pub(in crate::driver) reopen: Reopen,
    pub(in crate::driver) deadline: Duration,
    pub(in crate::driver) told: Option<oneshot::Sender<Result<Handed, String>>>,
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOver").finish_non_exhaustive() // a socket and a closure
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handed {
    /// The process that goes on.
    pub pid: u32,
    /// Calls that this one still finishes.
    pub calls: usize,
    /// For how long nobody read the sockets.
    pub pause: Duration,
}

/// What the loop has to give.
pub(in crate::driver) struct Offer {
    pub(in crate::driver) sockets: Vec<(Name, OwnedFd)>,
    pub(in crate::driver) kept: Vec<String>,
    pub(in crate::driver) ports: Vec<u16>,
    pub(in crate::driver) connections: Vec<Flow>,
}

impl HandOver {
    /// To the process at the other end, which must have said that it is prepared ([`HandOver::prepared`]). `reopen` opens
    /// the store again when it fails after all; what cannot be handed over is finished within `deadline`.
    pub fn new(
        link: Link,
        api: Option<TcpListener>,
        reopen: impl Fn() -> Result<Box<dyn Store>, StoreError> + Send + 'static,
        deadline: Duration,
    ) -> (HandOver, oneshot::Receiver<Result<Handed, String>>) {
        let (told, answer) = oneshot::channel();
        let order = HandOver {
            link,
            api,
            reopen: Box::new(reopen),
            deadline,
            told: Some(told),
        };
        (order, answer)
    }

    /// Waits until the newer process has read its configuration; nothing is stopped meanwhile.
    ///
    /// # Errors
    /// When it ended, or speaks another language.
    pub fn prepared(link: &mut Link, patience: Duration) -> io::Result<()> {
        link.patience(Some(patience))?;
        let Word::Prepared { version, language } = link.hear()? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        if language == LANGUAGE {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "version {version} does not take over from this one: stop this one and start it"
        )))
    }

    /// Passes everything, and waits until the newer process has it all.
    pub(in crate::driver) fn give(&mut self, offer: &Offer) -> io::Result<u32> {
        self.link.patience(Some(PATIENCE))?;
        let sockets = offer.sockets.iter().map(|(name, socket)| (*name, socket.as_fd()));
        let api = self.api.iter().map(|api| (Name::Api, api.as_fd()));
        self.link.pass(&sockets.chain(api).collect::<Vec<_>>())?;
        self.link.say(&Word::Offered {
            kept: offer.kept.clone(),
            ports: offer.ports.clone(),
            connections: offer.connections.iter().map(WrittenFlow::of).collect(),
        })?;
        let Word::Ready { pid } = self.link.hear()? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        Ok(pid)
    }

    /// From here on it is the newer one's.
    pub(in crate::driver) fn go(self) -> io::Result<Bond> {
        self.link.say(&Word::Go)?;
        Bond::new(self.link)
    }
}
