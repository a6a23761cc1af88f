//! Browsers on the one shared port, through real sockets: ICE, DTLS-SRTP, Opus on their side, G.711 on the phone's.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its sockets fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a peer connection on a real socket lives in real time"
)]

#[path = "media/browser.rs"]
mod browser;
#[path = "media/phone.rs"]
mod phone;
#[path = "media/tone.rs"]
mod tone;

use browser::Browser;
use phone::Phone;
use warmline::driver::{MediaOptions, MediaThread, dtls_certificate};
use warmline::media::audio::{Decoder, Encoder, measure};
use warmline::media::secure::Certificate;
use warmline::media::{Codec, Endpoint, Hear, MediaCommand, MediaEvent};
use warmline::vocabulary::LegHandle;

fn leg(slot: u32) -> LegHandle {
    LegHandle { slot, generation: 0 }
}

fn media() -> (
    MediaThread,
    Certificate,
    tokio::sync::mpsc::UnboundedReceiver<MediaEvent>,
) {
    let (events, told) = tokio::sync::mpsc::unbounded_channel();
    let certificate = dtls_certificate().unwrap();
    let mut options = MediaOptions::new([127, 0, 0, 1].into(), certificate.clone());
    options.shared = Some("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap());
    (MediaThread::start(options, events).unwrap(), certificate, told)
}

fn open(media: &MediaThread, leg: LegHandle, endpoint: Endpoint) {
    let endpoint = Box::new(endpoint);
    media.send(MediaCommand::Endpoint { leg, endpoint });
}

fn hear(media: &MediaThread, leg: LegHandle, source: LegHandle) {
    let what = Hear::Leg(source);
    media.send(MediaCommand::Hear { leg, what });
}

fn opus(frequency: f64, frames: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(&Codec::Opus).unwrap();
    let samples = measure::tone(frequency, -12.0, 48_000, 960 * frames);
    let frame = |pcm: &[i16]| {
        let mut octets = Vec::new();
        encoder.encode(pcm, &mut octets);
        octets
    };
    samples.chunks(960).map(frame).collect()
}

/// Whether what a browser heard is mostly this tone.
fn is(heard: &[Vec<u8>], frequency: f64) -> bool {
    let mut decoder = Decoder::new(&Codec::Opus).unwrap();
    let mut pcm = Vec::new();
    for payload in heard {
        decoder.decode(payload, &mut pcm);
    }
    let pcm = &pcm[pcm.len() / 3..];
    measure::level(pcm) > -30.0 && measure::level(pcm) - measure::level_at(pcm, 48_000, frequency) < 3.0
}

#[test]
fn a_browser_and_a_phone_hear_each_other_in_their_own_codecs() {
    let (media, certificate, mut told) = media();
    let (mut page, phone) = (Browser::new(), Phone::new([127, 0, 0, 2]));
    let endpoint = page.endpoint("pageone", 77);
    open(&media, leg(0), endpoint.clone());
    open(&media, leg(1), phone.endpoint(Codec::Pcmu));
    hear(&media, leg(0), leg(1));
    hear(&media, leg(1), leg(0));
    page.connect(&endpoint, media.shared().unwrap(), &certificate);

    for frame in opus(440.0, 60) {
        page.speak(&frame);
    }
    let heard: Vec<u8> = std::iter::from_fn(|| phone.hear()).take(55).flatten().collect();
    assert!(tone::is(&heard[2_000..], 440.0) && !tone::is(&heard[2_000..], 1_000.0));
    assert_eq!(told.blocking_recv(), Some(MediaEvent::Flowing { leg: leg(0) }));

    for at in 0..60 {
        phone.send(0, &tone::make(1_000.0, at * 160, 160));
    }
    page.until(|page| page.heard.len() >= 55);
    assert!(is(&page.heard, 1_000.0) && !is(&page.heard, 440.0));
    assert_eq!(page.ssrcs(), [77]);
    media.stop();
}

#[test]
fn two_browsers_share_the_port_and_a_transfer_keeps_the_stream() {
    let (media, certificate, _told) = media();
    let mut pages = [Browser::new(), Browser::new(), Browser::new()];
    for (slot, page) in pages.iter_mut().enumerate() {
        let endpoint = page.endpoint(&format!("page{slot}"), 70 + slot as u32);
        open(&media, leg(slot as u32), endpoint.clone());
        page.connect(&endpoint, media.shared().unwrap(), &certificate);
    }
    let [first, second, third] = &mut pages;
    for (source, frequency) in [(1, 440.0), (2, 1_000.0)] {
        hear(&media, leg(0), leg(source));
        first.heard.clear();
        // Until the order has been heard of, the other one is heard.
        let speaker = if source == 1 { &mut *second } else { &mut *third };
        for frame in opus(frequency, 80) {
            speaker.speak(&frame);
        }
        first.until(|page| page.heard.len() >= 60);
        assert!(is(&first.heard, frequency));
    }
    assert_eq!(first.ssrcs(), [70]);
    media.stop();
}
