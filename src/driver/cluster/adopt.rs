//! Everything that a take-over waits for, on a thread of its own: records, sockets, a media thread.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::News;
use crate::cluster::{Claim, Held};
use crate::driver::MediaFiles;
use crate::driver::bind;
use crate::driver::clock;
use crate::driver::media::{self, MediaThread};
use crate::driver::stream::Door;
use crate::engine::{Listener, NoteKind, Process, Settings, Stored};
use crate::media::MediaEvent;
use crate::observe::Metrics;
use crate::store::{Redis, Store};
use crate::transport::Transport;

/// How often records are asked for, and how long in between, before somebody else shall try.
const TIMES: usize = 6;
const PAUSE: Duration = Duration::from_millis(250);

/// A number that is ready to be served.
pub(in crate::driver) struct Adoption {
    pub(in crate::driver) held: Held,
    pub(in crate::driver) home: bool,
    pub(in crate::driver) settings: Settings,
    pub(in crate::driver) records: Vec<Stored>,
    /// The addresses of who served it that could be had here.
    pub(in crate::driver) udp: Vec<(Listener, UdpSocket)>,
    /// The same for connections.
    pub(in crate::driver) tcp: Vec<(Door, std::net::TcpListener)>,
    pub(in crate::driver) media: MediaThread,
    pub(in crate::driver) heard: UnboundedReceiver<MediaEvent>,
}

/// What a take-over needs to know.
pub(in crate::driver) struct Estate {
    pub(in crate::driver) held: Held,
    pub(in crate::driver) home: bool,
    pub(in crate::driver) from: Option<Claim>,
    pub(in crate::driver) store: Redis,
    pub(in crate::driver) settings: Settings,
    pub(in crate::driver) doors: Vec<Door>,
    pub(in crate::driver) files: MediaFiles,
    pub(in crate::driver) metrics: Arc<Metrics>,
}

/// Makes a number ready to be served; tells when it is, or that it cannot be.
pub(in crate::driver) fn adopt(estate: Estate, news: UnboundedSender<News>) {
    let held = estate.held;
    let told = news.clone();
    let work = move || {
        let ready = prepare(estate);
        let said = ready.map_or(News::Unready(held), |ready| News::Ready(Box::new(ready)));
        news.send(said).ok(); // the edge is stopping
    };
    let thread = std::thread::Builder::new()
        .name("warmline-adopt".to_owned())
        .spawn(work);
    if let Err(error) = thread {
        tracing::error!(%error, "the system refused a thread");
        told.send(News::Unready(held)).ok(); // the edge is stopping
    }
}

fn prepare(estate: Estate) -> Option<Adoption> {
    let Estate {
        held,
        home,
        from,
        mut store,
        mut settings,
        doors,
        files,
        metrics,
    } = estate;
    let records = read(&mut store, held)?;
    settings.node = held.node;
    settings.process = process(settings.process);
    let theirs = from.map(|claim| claim.listeners).unwrap_or_default();
    let udp = borrowed(&settings, &theirs);
    let tcp = borrowed_doors(&doors, &theirs);
    let own = std::mem::take(&mut settings.listeners);
    // Packets of the calls went to the address that was written into descriptions: that of the first listener.
    let first = theirs.first().map(SocketAddr::ip);
    settings.listeners = udp
        .iter()
        .map(|(listener, _)| *listener)
        .filter(|listener| Some(listener.address.ip()) == first)
        .collect();
    if settings.listeners.is_empty() {
        settings.listeners = own.clone();
    }
    let (media, heard) = media::wire(&mut settings, files, &metrics, Default::default())
        .map_err(|error| tracing::error!(%error, node = held.node, "no media for a node that is taken over"))
        .ok()?;
    settings.listeners = udp.iter().map(|(listener, _)| *listener).chain(own).collect();
    Some(Adoption {
        held,
        home,
        settings,
        records,
        udp,
        tcp,
        media,
        heard,
    })
}

fn read(store: &mut Redis, held: Held) -> Option<Vec<Stored>> {
    for _ in 0..TIMES {
        match store.records() {
            Ok(records) => return Some(records),
            Err(error) => {
                tracing::warn!(%error, node = held.node, "cannot read the records of a node that is taken over");
                std::thread::park_timeout(PAUSE);
            }
        }
    }
    None
}

/// What belongs to all is kept by each process's home.
pub(in crate::driver) fn is_of_cluster(record: &Stored) -> bool {
    match record {
        Stored::User(_) | Stored::Ban(..) | Stored::Note(NoteKind::Api, ..) => true,
        Stored::Leg(..)
        | Stored::Call(..)
        | Stored::Transfer(..)
        | Stored::Hub(..)
        | Stored::Ringing(..)
        | Stored::Note(NoteKind::Record, ..) => false,
    }
}

fn process(before: Process) -> Process {
    let dice = clock::random().unwrap_or_default();
    let started = clock::wall().duration_since(std::time::UNIX_EPOCH).ok();
    Process {
        seed: dice
            .iter()
            .fold(before.seed, |seed, octet| seed.rotate_left(8) ^ u64::from(*octet)),
        started: started.map(|since| since.as_secs()),
    }
}

/// The addresses that can be had here: moved by VRRP, or of this machine. Those that cannot are no reason not to go on.
fn borrowed(settings: &Settings, theirs: &[SocketAddr]) -> Vec<(Listener, UdpSocket)> {
    let ours: Vec<SocketAddr> = settings.listeners.iter().map(|listener| listener.address).collect();
    let mut had = Vec::new();
    for address in theirs.iter().filter(|address| !ours.contains(address)) {
        match bind::udp(*address) {
            Ok(socket) => had.push((
                Listener {
                    transport: Transport::Udp,
                    address: *address,
                    advertised: *address,
                },
                socket,
            )),
            Err(error) => tracing::info!(%address, %error, "an address of a node that is taken over cannot be had"),
        }
    }
    had
}

/// Connections to those addresses are taken as those to our own listener of the same port are: with its transport and
/// certificate.
fn borrowed_doors(doors: &[Door], theirs: &[SocketAddr]) -> Vec<(Door, std::net::TcpListener)> {
    let ours: Vec<SocketAddr> = doors.iter().map(|door| door.local).collect();
    let mut had = Vec::new();
    for address in theirs.iter().filter(|address| !ours.contains(address)) {
        let like = doors.iter().find(|door| door.local.port() == address.port());
        let Some(door) = like else { continue };
        match bind::tcp(*address) {
            Ok(socket) => had.push((
                Door {
                    local: *address,
                    ..door.clone()
                },
                socket,
            )),
            Err(error) => tracing::info!(%address, %error, "connections to a node that is taken over cannot be had"),
        }
    }
    had
}
