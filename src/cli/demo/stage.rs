//! The edge and its three phones on one stage: moves bytes, tells the time, prints what passes, and waits with a limit.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::failure::{Failure, UNSTARTED};
use super::super::say::say;
use super::wire::Wire;
use crate::api::{Happened, Stamped, Subscription};
use crate::driver::{self, Edge, Options, Tapped};
use crate::engine::{Event, Listener, Settings, Totals, User};
use crate::observe::{Ladder, Style};
use crate::phone::{Phone, PhoneCall, PhoneConfig, PhoneEvent, PhoneTransport};
use crate::transport::Transport;

/// How long any single thing may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
pub(super) const DOMAIN: &str = "example.test";

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Customer,
    Operator,
    Consult,
}

impl Who {
    pub(super) const ALL: [Who; 3] = [Who::Customer, Who::Operator, Who::Consult];

    pub(super) fn name(self) -> &'static str {
        match self {
            Who::Customer => "customer",
            Who::Operator => "operator",
            Who::Consult => "consult",
        }
    }

    pub(super) fn uri(self) -> String {
        format!("sip:{}@{DOMAIN}", self.name())
    }
}

/// What was waited for and did not come.
#[derive(Debug)]
pub(super) struct Stuck(pub(super) String);

struct Actor {
    phone: Phone,
    wire: Wire,
    happened: Vec<PhoneEvent>,
}

pub(super) struct Stage {
    edge: Edge,
    actors: [Actor; 3],
    tap: mpsc::UnboundedReceiver<Tapped>,
    ladder: Ladder,
    style: Style,
    subscription: Subscription,
    events: Vec<Arc<Stamped>>,
}

impl Stage {
    pub(super) async fn open(transport: PhoneTransport, style: Style) -> Result<Stage, Failure> {
        let broken = |error: std::io::Error| Failure::new(UNSTARTED, format!("loopback sockets: {error}"));
        let (sender, tap) = mpsc::unbounded_channel();
        let settings = settings(driver::random().map_err(broken)?);
        let options = Options {
            tap: Some(sender),
            ..Options::default()
        };
        let edge = Edge::start(settings, options).map_err(|error| Failure::new(UNSTARTED, error))?;
        let wanted = match transport {
            PhoneTransport::Udp => Transport::Udp,
            PhoneTransport::Tcp => Transport::Tcp,
            PhoneTransport::Tls => Transport::Tls,
            PhoneTransport::Ws => Transport::Ws,
            PhoneTransport::Wss => Transport::Wss,
        };
        let listener = edge.listeners().iter().find(|listener| listener.transport == wanted);
        let address = listener
            .ok_or_else(|| Failure::new(UNSTARTED, "the edge has no such listener"))?
            .address;
        let customer = actor(Who::Customer, transport, address).await.map_err(broken)?;
        let operator = actor(Who::Operator, transport, address).await.map_err(broken)?;
        let consult = actor(Who::Consult, transport, address).await.map_err(broken)?;
        let at = |actor: &Actor| Some(actor.phone.config().address);
        let ladder = Ladder::new(style)
            .column("customer", at(&customer))
            .column("edge", None)
            .column("operator", at(&operator))
            .column("consult", at(&consult));
        let subscription = edge.handle().events(Some(0));
        let actors = [customer, operator, consult];
        let name = wanted.as_str();
        say!(
            "warmline {} on {name} {address}, three phones on loopback",
            env!("CARGO_PKG_VERSION")
        );
        Ok(Stage {
            edge,
            actors,
            tap,
            ladder,
            style,
            subscription,
            events: Vec::new(),
        })
    }

    pub(super) fn phone(&self, who: Who) -> &Phone {
        &self.actors[who as usize].phone
    }

    /// Lets a phone do something now; what it wants to send goes out with the next wait.
    pub(super) fn act<R>(&mut self, who: Who, action: impl FnOnce(&mut Phone, Instant) -> R) -> R {
        action(&mut self.actors[who as usize].phone, driver::now())
    }

    /// What a phone reported so far.
    pub(super) fn happened(&self, who: Who) -> &[PhoneEvent] {
        &self.actors[who as usize].happened
    }

    /// What the edge reported so far.
    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().map(|stamped| &stamped.event)
    }

    pub(super) fn edge(&self) -> &Edge {
        &self.edge
    }

    pub(super) async fn totals(&self) -> Option<Totals> {
        driver::totals(&self.edge).await.ok()
    }

    pub(super) fn heading(&self, text: &str) {
        say!("\n{}\n{}", self.ladder.heading(text), self.ladder.head());
    }

    /// No message passes while people talk: the audio goes from phone to phone.
    pub(super) fn audio(&self, customer: PhoneCall, consult: PhoneCall) {
        let to = |who: Who, call| {
            self.phone(who)
                .remote_media(call)
                .unwrap_or_else(|| "nobody".to_owned())
        };
        let (left, right) = if self.style.unicode {
            ("◀──", "──▶")
        } else {
            ("<--", "-->")
        };
        say!(
            "            customer {right} {}   audio, not through the edge",
            to(Who::Customer, customer)
        );
        say!("            {} {left} consult   likewise", to(Who::Consult, consult));
    }

    /// Plays on until `done`, or says what was waited for.
    pub(super) async fn until(&mut self, what: &str, done: impl Fn(&Stage) -> bool) -> Result<(), Stuck> {
        let deadline = driver::now() + PATIENCE;
        loop {
            self.settle().await;
            if done(self) {
                return Ok(());
            }
            if driver::now() >= deadline {
                return Err(Stuck(format!("waited {} s for this: {what}", PATIENCE.as_secs())));
            }
            self.turn(deadline).await;
        }
    }

    /// Plays on for this long, whatever happens.
    pub(super) async fn pause(&mut self, length: Duration) {
        let deadline = driver::now() + length;
        while driver::now() < deadline {
            self.settle().await;
            self.turn(deadline).await;
        }
        self.settle().await;
    }

    pub(super) async fn close(self) {
        tokio::task::spawn_blocking(move || self.edge.stop()).await.ok(); // its panic was logged by the driver
    }

    /// Sends what the phones want to send, collects their events, prints what has passed the edge.
    async fn settle(&mut self) {
        for (actor, who) in self.actors.iter_mut().zip(Who::ALL) {
            while let Some(message) = actor.phone.poll_transmit() {
                if let Err(error) = actor.wire.send(&message).await {
                    say!("  the {}'s phone cannot send: {error}", who.name());
                }
            }
            while let Some(event) = actor.phone.poll_event() {
                actor.happened.push(event);
            }
        }
        while let Ok(tapped) = self.tap.try_recv() {
            self.show(&tapped);
        }
        while let Some(happened) = self.subscription.try_next() {
            self.note(happened);
        }
    }

    /// Waits for the next thing: a message, a timer, an event, or the deadline.
    async fn turn(&mut self, deadline: Instant) {
        let timers = self.actors.iter().filter_map(|actor| actor.phone.poll_timeout());
        let until = timers.chain([deadline]).min().unwrap_or(deadline);
        enum Next {
            Message(usize, std::io::Result<Bytes>),
            Tapped(Option<Tapped>),
            Happened(Happened),
            Timer,
        }
        let next = tokio::select! {
            biased;
            tapped = self.tap.recv() => Next::Tapped(tapped),
            (who, message) = receive(&mut self.actors) => Next::Message(who, message),
            happened = self.subscription.next() => Next::Happened(happened),
            () = tokio::time::sleep_until(until.into()) => Next::Timer,
        };
        let now = driver::now();
        match next {
            Next::Message(who, Ok(message)) => self.actors[who].phone.handle(now, message),
            Next::Message(who, Err(error)) => {
                say!("  the {}'s phone cannot receive: {error}", Who::ALL[who].name());
                // A broken wire is ready at once, for ever: the step's limit ends it, not the processor.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Next::Tapped(Some(tapped)) => self.show(&tapped),
            Next::Tapped(None) => tokio::time::sleep(Duration::from_millis(100)).await,
            Next::Happened(happened) => self.note(happened),
            Next::Timer => {
                for actor in &mut self.actors {
                    if actor.phone.poll_timeout().is_some_and(|at| at <= now) {
                        actor.phone.handle_timeout(now);
                    }
                }
            }
        }
    }

    fn show(&mut self, tapped: &Tapped) {
        say!(
            "{}",
            self.ladder
                .message(tapped.at, tapped.way, tapped.flow.remote, &tapped.bytes)
        );
    }

    /// Keeps an event of the edge; those that tell the story are printed.
    fn note(&mut self, happened: Happened) {
        let Happened::Event(stamped) = happened else { return };
        let text = match &stamped.event {
            Event::TransferRequested { kind, mode, .. } => {
                Some(format!("{kind:?} transfer requested, mode {mode:?}").to_lowercase())
            }
            Event::TransferProgress { state, rule, .. } => Some(format!("transfer {state}: {rule}")),
            Event::TransferCompleted { .. } => Some("transfer completed".to_owned()),
            Event::TransferFailed { reason, .. } => Some(format!("transfer failed: {}", reason.name())),
            Event::CallConnected { .. }
            | Event::CallHeld { .. }
            | Event::CallResumed { .. }
            | Event::CallForwarded { .. }
            | Event::CallRestored { .. }
            | Event::CallEnded { .. }
            | Event::MessageRefused { .. }
            | Event::WebhookFailed { .. } => Some(stamped.event.name().replace('.', " ")),
            Event::RegistrationAdded { .. }
            | Event::RegistrationRemoved { .. }
            | Event::SourceLimited { .. }
            | Event::SourceBanned { .. }
            | Event::Hub(_)
            | Event::CallStarted { .. }
            | Event::LegStarted { .. }
            | Event::LegRinging { .. }
            | Event::LegConfirmed { .. }
            | Event::LegEnded { .. }
            | Event::Media(_) => None,
        };
        if let Some(text) = text {
            let mark = if self.style.unicode { "●" } else { "*" };
            say!("{}", self.style.paint("1", &format!("{:>34} {text}", mark)));
        }
        self.events.push(stamped);
    }
}

/// The first phone that has a message.
async fn receive(actors: &mut [Actor; 3]) -> (usize, std::io::Result<Bytes>) {
    let [customer, operator, consult] = actors;
    let (mut customer, mut operator, mut consult) = (
        pin!(customer.wire.receive()),
        pin!(operator.wire.receive()),
        pin!(consult.wire.receive()),
    );
    poll_fn(|context| {
        for (who, wire) in [customer.as_mut(), operator.as_mut(), consult.as_mut()]
            .into_iter()
            .enumerate()
        {
            if let Poll::Ready(message) = wire.poll(context) {
                return Poll::Ready((who, message));
            }
        }
        Poll::Pending
    })
    .await
}

async fn actor(who: Who, transport: PhoneTransport, edge: SocketAddr) -> std::io::Result<Actor> {
    let wire = Wire::open(transport, edge).await?;
    let mut config = PhoneConfig::new(who.name(), &password(who), DOMAIN, wire.address()?, edge);
    config.transport = transport;
    Ok(Actor {
        phone: Phone::new(config),
        wire,
        happened: Vec::new(),
    })
}

fn password(who: Who) -> String {
    format!("secret of the {}", who.name())
}

/// An edge with a local registrar on free ports of loopback.
fn settings(key: [u8; 16]) -> Settings {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut settings = Settings::loopback(any);
    let listener = |transport| Listener {
        transport,
        address: any,
        advertised: any,
    };
    settings.listeners = vec![listener(Transport::Udp), listener(Transport::Tcp)];
    settings.domain = DOMAIN.to_owned();
    settings.open = false;
    settings.users = Who::ALL
        .map(|who| User {
            name: who.name().to_owned(),
            password: password(who),
        })
        .into();
    settings.key = key;
    settings
}
