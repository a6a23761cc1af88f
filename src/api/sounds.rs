//! Sounds that are added while the edge runs: fetched files, speech, plain tones.
//!
//! A sound is decoded away from the engine and the media thread, and is known by its content: the same octets have the same name,
//! and are decoded once. Its name goes into [`Command::Play`](crate::engine::Command::Play) as that of a configured prompt does. Bounded:
//! [`KEPT_SECONDS`] of sound are kept, the one that was added or asked for longest ago goes first.
//!
//! ```
//! use warmline::api::{SoundError, Sounds};
//!
//! let (sounds, orders) = Sounds::new();
//! drop(orders); // nobody makes sounds
//! let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! assert_eq!(runtime.block_on(sounds.tone(440, 500)), Err(SoundError::Stopped));
//! ```

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

/// Sounds that may wait to be decoded; more callers wait for their turn.
const WAITING: usize = 64;
/// Octets of a file at most.
pub const MOST_OCTETS: usize = 16 << 20;
/// Seconds of sound that are kept, of all together: 173 MB.
pub const KEPT_SECONDS: usize = 1_800;

/// What becomes a sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SoundSource {
    /// A WAV, MP3 or OGG file.
    File(Bytes),
    /// A plain tone.
    Tone {
        /// 50 to 3,400.
        hertz: u32,
        /// 1 to 900,000.
        milliseconds: u32,
    },
}

/// A sound that is wanted, with the place where its name is.
#[derive(Debug)]
pub struct SoundOrder {
    /// Of what.
    pub source: SoundSource,
    /// Where the answer goes; the asker may have gone.
    pub answer: oneshot::Sender<Result<String, SoundError>>,
}

/// Why there is no such sound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoundError {
    /// More octets than [`MOST_OCTETS`].
    #[error("the file has {octets} octets; at most {MOST_OCTETS} are taken")]
    TooLarge {
        /// How many it has.
        octets: usize,
    },
    /// It cannot be decoded, and why.
    #[error("the sound cannot be played: {0}")]
    Unplayable(String),
    /// The edge has stopped.
    #[error("the edge is shutting down")]
    Stopped,
}

/// Adds sounds to a running edge. Cheap to clone, usable from any thread.
#[derive(Clone, Debug)]
pub struct Sounds {
    orders: mpsc::Sender<SoundOrder>,
}

impl Sounds {
    /// A handle, and the end at which the media thread's owner receives the orders.
    pub fn new() -> (Sounds, mpsc::Receiver<SoundOrder>) {
        let (orders, receiver) = mpsc::channel(WAITING);
        (Sounds { orders }, receiver)
    }

    /// Decodes a file (WAV, MP3, OGG) and gives the name by which it is played from now on.
    ///
    /// # Errors
    /// Where it is too large or no sound.
    pub async fn add(&self, file: Bytes) -> Result<String, SoundError> {
        match file.len() {
            octets if octets > MOST_OCTETS => Err(SoundError::TooLarge { octets }),
            _ => self.order(SoundSource::File(file)).await,
        }
    }

    /// The name of a plain tone: what is said in place of words where nothing speaks.
    ///
    /// # Errors
    /// Where the edge has stopped.
    pub async fn tone(&self, hertz: u32, milliseconds: u32) -> Result<String, SoundError> {
        self.order(SoundSource::Tone { hertz, milliseconds }).await
    }

    async fn order(&self, source: SoundSource) -> Result<String, SoundError> {
        let (answer, name) = oneshot::channel();
        let order = SoundOrder { source, answer };
        self.orders.send(order).await.map_err(|_| SoundError::Stopped)?;
        name.await.map_err(|_| SoundError::Stopped)?
    }
}
