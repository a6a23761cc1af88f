//! Payload types: what a party's numbers mean, and which of a listener's say the same (LESSONS 31).

use crate::media::{Codec, Endpoint, Payload};

const NONE: u8 = u8::MAX;

/// What the numbers in a party's packets mean.
#[derive(Debug)]
pub(super) struct Payloads {
    list: Vec<Payload>,
    at: [u8; 128],
}

impl Payloads {
    /// RFC 3264 §5.1: a party sends with the numbers of our description. Some send with their own; where those say
    /// nothing else, they are understood.
    pub(super) fn new(endpoint: &Endpoint) -> Payloads {
        let mut payloads = Payloads {
            list: Vec::new(),
            at: [NONE; 128],
        };
        for payload in endpoint.receive.iter().chain(&endpoint.send) {
            let index = payloads.list.len();
            if let Some(at) = payloads.at.get_mut(usize::from(payload.number))
                && *at == NONE
                && index < usize::from(NONE)
            {
                *at = index as u8;
                payloads.list.push(payload.clone());
            }
        }
        payloads
    }

    /// The party's best audio that we can decode.
    pub(super) fn audio(&self) -> Option<&Payload> {
        audio(&self.list)
    }

    /// What this number means.
    pub(super) fn codec(&self, number: u8) -> Option<&Codec> {
        let at = *self.at.get(usize::from(number))?;
        self.list.get(usize::from(at)).map(|payload| &payload.codec)
    }
}

/// What becomes of a packet of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// It goes on under this number, on this clock.
    Pass { number: u8, clock: u32 },
    /// It is decoded, and encoded under this number.
    Transcode { from: Codec, to: Codec, number: u8 },
    /// The listener cannot take it.
    Nothing,
}

/// A route for each number of the source.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Routes {
    list: Vec<Route>,
    at: [u8; 128],
}

impl Default for Routes {
    fn default() -> Self {
        Routes {
            list: Vec::new(),
            at: [NONE; 128],
        }
    }
}

impl Routes {
    /// From what the source sends to what the listener takes.
    pub(super) fn new(source: &Payloads, takes: &[Payload]) -> Routes {
        let at = source.at;
        let list = source.list.iter().map(|payload| route(&payload.codec, takes));
        Routes {
            list: list.collect(),
            at,
        }
    }

    /// The route of this number.
    pub(super) fn of(&self, number: u8) -> &Route {
        let at = self.at.get(usize::from(number)).copied().unwrap_or(NONE);
        self.list.get(usize::from(at)).unwrap_or(&Route::Nothing)
    }
}

fn route(codec: &Codec, takes: &[Payload]) -> Route {
    let pass = |payload: &Payload| Route::Pass {
        number: payload.number,
        clock: payload.codec.clock(),
    };
    if let Some(same) = takes.iter().find(|payload| payload.codec == *codec) {
        return pass(same);
    }
    match codec {
        // RFC 4733 §2.1: the clock is that of the audio beside it; durations are rescaled.
        Codec::TelephoneEvent { .. } => {
            let event = |payload: &&Payload| matches!(payload.codec, Codec::TelephoneEvent { .. });
            takes.iter().find(event).map_or(Route::Nothing, pass)
        }
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus => {
            let to = audio(takes);
            to.map_or(Route::Nothing, |to| Route::Transcode {
                from: codec.clone(),
                to: to.codec.clone(),
                number: to.number,
            })
        }
        Codec::ComfortNoise { .. } | Codec::Other { .. } => Route::Nothing,
    }
}

/// The best of what a listener takes that we can make.
pub(super) fn audio(takes: &[Payload]) -> Option<&Payload> {
    takes.iter().find(|payload| payload.codec.sample_rate().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::session::testing::endpoint;

    fn payload(number: u8, codec: Codec) -> Payload {
        Payload {
            number,
            codec,
            parameters: "".into(),
        }
    }

    #[test]
    fn numbers_are_translated_by_name() {
        let event = |clock| Codec::TelephoneEvent { clock };
        let source = Endpoint {
            receive: vec![
                payload(0, Codec::Pcmu),
                payload(96, Codec::Opus),
                payload(97, event(8_000)),
            ],
            send: vec![payload(96, Codec::G722), payload(101, event(8_000))],
            ..endpoint()
        };
        let takes = [
            payload(111, Codec::Opus),
            payload(110, event(48_000)),
            payload(126, event(8_000)),
        ];
        let routes = Routes::new(&Payloads::new(&source), &takes);
        let pass = |number, clock| Route::Pass { number, clock };
        let transcode = Route::Transcode {
            from: Codec::Pcmu,
            to: Codec::Opus,
            number: 111,
        };
        assert_eq!(*routes.of(0), transcode);
        assert_eq!(*routes.of(96), pass(111, 48_000));
        // Also by the number that belongs into packets to the party.
        assert_eq!([routes.of(97), routes.of(101)], [&pass(126, 8_000); 2]);
        assert_eq!([routes.of(5), routes.of(200)], [&Route::Nothing; 2]);
        let wide = Routes::new(&Payloads::new(&source), &takes[..2]);
        assert_eq!(*wide.of(97), pass(110, 48_000));
        assert_eq!(*Routes::new(&Payloads::new(&source), &takes[1..]).of(0), Route::Nothing);
    }
}
