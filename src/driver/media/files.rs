//! Recordings on disk: a thread of their own, because a disk may take its time.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use tokio::sync::mpsc::UnboundedSender;

use crate::media::{MediaEvent, MediaFailure, RecordingName, RecordingStep};
use crate::vocabulary::AudienceHandle;

/// The thread; it ends when its jobs are done and nobody can give it another.
#[derive(Debug)]
pub(super) struct Files {
    jobs: Option<Sender<RecordingStep>>,
    thread: Option<JoinHandle<()>>,
}

impl Files {
    /// Into this folder; without one every recording fails.
    pub(super) fn start(folder: Option<PathBuf>, events: UnboundedSender<MediaEvent>) -> io::Result<Files> {
        let (jobs, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("warmline-record".to_owned())
            .spawn(move || write(folder.as_deref(), &waiting, &events))?;
        Ok(Files {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    pub(super) fn give(&self, step: RecordingStep) {
        if let Some(jobs) = &self.jobs {
            jobs.send(step).ok(); // the thread ends after us
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the recording thread panicked");
        }
    }
}

fn write(folder: Option<&Path>, jobs: &Receiver<RecordingStep>, events: &UnboundedSender<MediaEvent>) {
    // A recording that failed is kept as `None` until its end, so that it is told once.
    let mut open: HashMap<RecordingName, Option<File>> = HashMap::new();
    while let Ok(step) = jobs.recv() {
        match step {
            RecordingStep::Write {
                of,
                name,
                offset,
                octets,
            } => {
                let result = match open.get(&name) {
                    Some(None) => continue,
                    Some(Some(file)) => file.write_all_at(&octets, offset),
                    None => create(folder, &name).and_then(|file| {
                        let written = file.write_all_at(&octets, offset);
                        open.insert(name.clone(), Some(file));
                        written
                    }),
                };
                if let Err(error) = result {
                    fail(of, &name, &error, events);
                    open.insert(name, None);
                }
            }
            RecordingStep::Recorded { of, name, milliseconds } => {
                // One that failed was told then.
                let Some(file) = open.remove(&name).flatten() else {
                    continue;
                };
                if let Err(error) = file.sync_all() {
                    fail(of, &name, &error, events);
                    continue;
                }
                let told = match of {
                    AudienceHandle::Leg(leg) => MediaEvent::Recorded {
                        leg,
                        name,
                        milliseconds,
                    },
                    AudienceHandle::Hub(call) => MediaEvent::HubRecorded {
                        call,
                        name,
                        milliseconds,
                    },
                };
                events.send(told).ok(); // nobody is left to be told
            }
        }
    }
}

fn fail(of: AudienceHandle, name: &RecordingName, error: &io::Error, events: &UnboundedSender<MediaEvent>) {
    tracing::warn!(recording = %name.0, %error, "a recording cannot be written");
    let told = match of {
        AudienceHandle::Leg(leg) => MediaEvent::Failed {
            leg,
            why: MediaFailure::Recording(error.to_string().into()),
        },
        // A hub has no leg that failed: its recording is over, and nothing of it can be relied on.
        AudienceHandle::Hub(call) => MediaEvent::HubRecorded {
            call,
            name: name.clone(),
            milliseconds: 0,
        },
    };
    events.send(told).ok(); // nobody is left to be told
}

/// A new file; one that is there is another recording's and stays.
fn create(folder: Option<&Path>, name: &RecordingName) -> io::Result<File> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "no folder for recordings is configured");
    let folder = folder.ok_or_else(missing)?;
    // Names are the edge's own, but a name that leads elsewhere would be worth an attack.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if name.0.is_empty() || !name.0.chars().all(plain) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a recording's name has letters, digits and - only",
        ));
    }
    let path = folder.join(format!("{}.wav", name.0));
    OpenOptions::new().write(true).create_new(true).open(path)
}
