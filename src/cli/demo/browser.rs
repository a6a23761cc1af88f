//! `warmline demo --browser`: an edge on loopback with the softphone page and two users; people do the rest.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use super::super::failure::{FAILED, Failure, UNSTARTED};
use super::super::say::say;
use crate::api::{Happened, Subscription};
use crate::driver::{self, Edge, Options, SoftphoneOptions, StartError};
use crate::engine::{Event, Listener, Settings, User};
use crate::transport::Transport;

/// Where a browser remembers that it may use the microphone; another port if somebody has this one.
const PORT: u16 = 8088;
const DOMAIN: &str = "demo.test";
const USERS: [(&str, &str); 2] = [("anna", "warm"), ("ben", "line")];

/// Runs until it is asked to stop.
pub(super) async fn play() -> Result<(), Failure> {
    let key = driver::random().map_err(|error| Failure::new(UNSTARTED, format!("no random numbers: {error}")))?;
    let edge = start(key, PORT).or_else(|_| start(key, 0));
    let edge = edge.map_err(|error| Failure::new(UNSTARTED, error))?;
    let address = edge.listeners().first().map(|listener| listener.address);
    let address = address.ok_or_else(|| Failure::new(UNSTARTED, "the edge has no listener"))?;
    greet(address);
    let mut events = edge.handle().events(Some(0));
    let ended = tokio::select! {
        never = tell(&mut events) => match never {},
        signal = driver::asked_to_stop() => signal.map(drop).map_err(|error| Failure::new(FAILED, error)),
        () = edge.ended() => Err(Failure::new(FAILED, "the engine has stopped by itself: this is a defect")),
    };
    tokio::task::spawn_blocking(move || edge.stop()).await.ok(); // its panic was logged by the driver
    say!("stopped");
    ended
}

fn start(key: [u8; 16], port: u16) -> Result<Edge, StartError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut settings = Settings::loopback(address);
    settings.listeners = vec![Listener {
        transport: Transport::Ws,
        address,
        advertised: address,
    }];
    settings.domain = DOMAIN.to_owned();
    settings.open = false;
    settings.users = USERS
        .map(|(name, password)| User {
            name: name.to_owned(),
            password: password.to_owned(),
        })
        .into();
    settings.key = key;
    let options = Options {
        softphone: Some(SoftphoneOptions::default()),
        ..Options::default()
    };
    Edge::start(settings, options)
}

fn greet(address: SocketAddr) {
    say!("warmline {}: softphones in the browser", env!("CARGO_PKG_VERSION"));
    say!("  open     http://{address}/phone/  in two tabs, on this machine");
    for (name, password) in USERS {
        say!("  sign in  user {name}, password {password}");
    }
    say!("  then     dial the other's name, answer there; hold, mute, keys and transfer are on the page");
    say!("  Ctrl-C   ends it");
}

/// Says what happens.
async fn tell(events: &mut Subscription) -> Infallible {
    loop {
        let Happened::Event(stamped) = events.next().await else {
            continue; // what was missed was too much to be read anyway
        };
        let event = &stamped.event;
        if let Event::RegistrationAdded { aor, .. } = event {
            say!("  · {aor} is registered");
        } else if let Event::RegistrationRemoved { aor, .. } = event {
            say!("  · {aor} is gone");
        } else if let Event::CallStarted { from, to, .. } = event {
            say!("  · {from} calls {to}");
        } else if event.name().starts_with("call.") || event.name().starts_with("transfer.") {
            say!("  · {}", event.name().replace('.', " "));
        }
    }
}
