//! Sounds that applications name by URL, speech, and tones of our own.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, Request};
use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::fetch::request;
use super::twiml::Target;
use crate::api::Sounds;
use crate::api::webhook::Client;

/// Of a sound, in octets: an hour of speech, ten minutes of music.
const LONGEST: usize = 10 * 1024 * 1024;
/// For how long a fetched sound is played without being fetched again.
const FRESH: Duration = Duration::from_secs(300);
/// Fetched sounds that are remembered.
const KEPT: usize = 256;
/// For a synthesiser to speak a text.
const SPEAKING: Duration = Duration::from_secs(10);
/// Of a text to be spoken, in characters.
const MOST_TEXT: usize = 4_096;

/// Why there is no sound.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{of}: {why}")]
pub(crate) struct NoSound {
    /// Scheme, host and port, or `speech`, or `tone`.
    pub(crate) of: String,
    pub(crate) why: String,
}

fn no(of: &str, why: impl ToString) -> NoSound {
    NoSound {
        of: of.to_owned(),
        why: why.to_string(),
    }
}

/// Brings sounds to where the engine can play them.
pub(crate) struct Shop {
    hooks: Client,
    /// Signs what is asked for; `None`: it is asked for without a signature.
    token: Option<String>,
    sounds: Sounds,
    fetched: Mutex<HashMap<String, (String, Instant)>>,
}

impl Shop {
    pub(crate) fn new(hooks: Client, token: Option<String>, sounds: Sounds) -> Shop {
        Shop {
            hooks,
            token,
            sounds,
            fetched: Mutex::default(),
        }
    }

    /// The name under which the sound at a URL can be played.
    pub(crate) async fn fetch(&self, url: &str) -> Result<String, NoSound> {
        if let Some(name) = self.remembered(url) {
            return Ok(name);
        }
        let origin = url::Url::parse(url).map(|url| url.origin().ascii_serialization());
        let origin = origin.unwrap_or_default();
        let target = Target {
            url: url.to_owned(),
            method: Method::GET,
        };
        let request = match &self.token {
            Some(token) => request(token, &target, &[]),
            None => Request::get(url).body(Bytes::new()).ok(),
        };
        let request = request.ok_or_else(|| no(&origin, "this is no URL"))?;
        let answer = self.hooks.download(request, LONGEST).await;
        let answer = answer.map_err(|error| no(&origin, error))?;
        if !answer.status().is_success() {
            return Err(no(&origin, format!("the answer was {}", answer.status().as_u16())));
        }
        let name = self.add(&origin, answer.into_body()).await?;
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if fetched.len() >= KEPT {
            fetched.retain(|_, (_, since)| since.elapsed() < FRESH);
        }
        if fetched.len() < KEPT {
            fetched.insert(url.to_owned(), (name.clone(), Instant::now()));
        }
        Ok(name)
    }

    fn remembered(&self, url: &str) -> Option<String> {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, since) = fetched.get(url)?;
        (since.elapsed() < FRESH).then(|| name.clone())
    }

    async fn add(&self, of: &str, octets: Bytes) -> Result<String, NoSound> {
        self.sounds.add(octets).await.map_err(|error| no(of, error))
    }

    /// A text as speech, by the first synthesiser that is installed.
    pub(crate) async fn say(&self, text: &str, language: Option<&str>) -> Result<String, NoSound> {
        let text: String = text
            .chars()
            .filter(|c| !c.is_control() || *c == '\n')
            .take(MOST_TEXT)
            .collect();
        let language: String = language
            .unwrap_or("en")
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        let voice = language.to_ascii_lowercase();
        for (program, arguments) in [
            ("espeak-ng", vec!["--stdin", "--stdout", "-v", voice.as_str()]),
            ("espeak", vec!["--stdin", "--stdout", "-v", voice.as_str()]),
            ("flite", vec!["-f", "-", "-o", "/dev/stdout"]),
        ] {
            match speak(program, &arguments, &text).await {
                Ok(Some(octets)) => return self.add("speech", octets).await,
                Ok(None) => {}
                Err(error) => tracing::warn!(program, %error, "the synthesiser failed"),
            }
        }
        Err(no("speech", "no synthesiser is installed: espeak-ng, espeak or flite"))
    }

    /// A tone of so many milliseconds and a pause after it, to be played again and again or once.
    pub(crate) async fn tone(&self, hertz: &[u32], on: u32, off: u32) -> Result<String, NoSound> {
        self.add("tone", wav(hertz, on, off)).await
    }
}

/// What the program says; `None`: it is not installed.
async fn speak(program: &str, arguments: &[&str], text: &str) -> std::io::Result<Option<Bytes>> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let input = child.stdin.take();
    let spoken = async {
        let write = async {
            if let Some(mut input) = input {
                input.write_all(text.as_bytes()).await?;
                input.shutdown().await?;
            }
            Ok::<(), std::io::Error>(())
        };
        let (written, output) = tokio::join!(write, child.wait_with_output());
        written?;
        output
    };
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    let output = timeout(SPEAKING, spoken).await.map_err(late)??;
    if !output.status.success() || output.stdout.len() < 44 || output.stdout.len() > LONGEST {
        return Err(std::io::Error::other("no audio came of it"));
    }
    Ok(Some(Bytes::from(output.stdout)))
}

/// 16-bit mono at 8,000 Hz: these frequencies together, then silence.
fn wav(hertz: &[u32], on: u32, off: u32) -> Bytes {
    let (on, all) = (on * 8, (on + off) * 8);
    let sample = |at: u32| -> i16 {
        if at >= on || hertz.is_empty() {
            return 0;
        }
        let of = |hertz: &u32| (std::f64::consts::TAU * f64::from(*hertz) * f64::from(at) / 8_000.0).sin();
        let sum: f64 = hertz.iter().map(of).sum();
        #[expect(clippy::cast_possible_truncation, reason = "at most 6,000 by its factor")]
        let sample = (sum / hertz.len() as f64 * 6_000.0) as i16;
        sample
    };
    let octets = all * 2;
    let mut file = Vec::with_capacity(44 + octets as usize);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + octets).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    for word in [16_u32, 0x0001_0001, 8_000, 16_000, 0x0010_0002] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(b"data");
    file.extend_from_slice(&octets.to_le_bytes());
    file.extend((0..all).flat_map(|at| sample(at).to_le_bytes()));
    Bytes::from(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_a_file_that_others_can_read() {
        let file = wav(&[440], 100, 50);
        let mut reader = hound::WavReader::new(&file[..]).unwrap();
        assert_eq!(
            (reader.spec().sample_rate, reader.spec().channels, reader.len()),
            (8_000, 1, 1_200)
        );
        let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        let crossings = samples[..800]
            .windows(2)
            .filter(|two| (two[0] < 0) != (two[1] < 0))
            .count();
        assert!(
            (86..=90).contains(&crossings),
            "{crossings} crossings in 100 ms of 440 Hz"
        );
        assert!(samples[800..].iter().all(|sample| *sample == 0));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_passed_over() {
        assert!(speak("no-such-synthesiser", &[], "x").await.unwrap().is_none());
        assert!(speak("false", &[], "x").await.is_err());
        let echoed = speak("cat", &[], &"x".repeat(100)).await.unwrap().unwrap();
        assert_eq!(echoed.len(), 100);
    }
}
