//! `warmline demo`: an edge and three phones over real sockets on loopback do a warm transfer, and it is checked.
//!
//! | file | what |
//! |---|---|
//! | `stage` | the edge, the phones, what is printed, waiting with a limit |
//! | `wire` | a phone's socket |
//! | `script` | the steps, in plain words |
//! | `verdict` | what must be true, and whether it was |
//! | `browser` | no script at all: an edge with the softphone page, for people |

mod browser;
mod script;
mod stage;
mod verdict;
mod wire;

use std::time::Duration;

use clap::ValueEnum;

use super::failure::{FAILED, Failure};
use crate::observe::Style;
use crate::phone::PhoneTransport;
use stage::Stage;
use verdict::Verdict;

/// The demo as a whole takes a few seconds; whatever goes wrong, it ends.
const LONGEST: Duration = Duration::from_secs(45);

/// Show a warm transfer: an edge and three phones over real sockets on loopback
///
/// A customer calls an operator, who holds the customer, asks a consult, joins the two with REFER and Replaces, and hangs up
/// at once, as real phones do. The message ladder is printed as it happens. Uses free ports of 127.0.0.1 and nothing else.
///
/// Exits with 0 only if customer and consult ended up with each other's session description, the operator's dialogs ended,
/// the transfer was completed once, and nothing was left behind.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  warmline demo\n  warmline demo --transport tcp --pace 0\n  warmline demo --browser\n\nNO_COLOR is respected."
)]
pub(super) struct Args {
    /// How the phones talk to the edge
    #[arg(long, value_enum, default_value_t = Transport::Udp)]
    transport: Transport,
    /// Milliseconds between the steps, for the eye
    #[arg(long, value_name = "MS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(..=2_000))]
    pace: u64,
    /// Draw with plain ASCII characters
    #[arg(long)]
    ascii: bool,
    /// No script: serve the softphone page and two users, and let people call in their browser until Ctrl-C
    #[arg(long, conflicts_with_all = ["transport", "pace", "ascii"])]
    browser: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Transport {
    Udp,
    Tcp,
}

pub(super) fn main(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(FAILED, format!("the system refused an event loop: {error}")))?;
    if args.browser {
        return runtime.block_on(browser::play());
    }
    let style = Style {
        colour: super::colour(&std::io::stdout()),
        unicode: !args.ascii,
    };
    let transport = match args.transport {
        Transport::Udp => PhoneTransport::Udp,
        Transport::Tcp => PhoneTransport::Tcp,
    };
    let pace = Duration::from_millis(args.pace);
    let played = async { tokio::time::timeout(LONGEST, play(transport, style, pace)).await };
    let verdict = runtime
        .block_on(played)
        .map_err(|_| Failure::new(FAILED, "the demo did not come to its end"))??;
    verdict.print(style);
    if verdict.is_good() {
        Ok(())
    } else {
        Err(Failure::new(FAILED, "the demo failed: see the points marked above"))
    }
}

async fn play(transport: PhoneTransport, style: Style, pace: Duration) -> Result<Verdict, Failure> {
    let mut stage = Stage::open(transport, style).await?;
    let mut verdict = Verdict::default();
    if let Err(stuck) = script::play(&mut stage, &mut verdict, pace).await {
        verdict.stuck(&stuck);
    }
    stage.close().await;
    Ok(verdict)
}
