//! Leaves out what a handshake has heard already.
//!
//! RFC 6347 §4.2.4 lets each side repeat its last flight by its own timer. `rtc-dtls` 0.21 puts its timer away whenever it
//! hears a handshake record, new or not, and sets it again only when it goes on: a repetition of the party's flight
//! while ours was lost would leave it waiting for ever. So repetitions are not shown to it, and its own timer sends ours again.

use bytes::BytesMut;

use super::screen::{CLIENT_HELLO, Fragment, fragments, next_record};

/// The fragments of a handshake that were heard.
#[derive(Default)]
pub(super) struct Repeats {
    heard: Vec<(u16, usize, usize)>,
}

impl Repeats {
    /// The records of `records` in which there is something new. Their number is bounded by what an association may be fed.
    pub(super) fn leave_out(&mut self, records: &[u8]) -> BytesMut {
        let mut out = BytesMut::with_capacity(records.len());
        let mut rest = records;
        while let Some((record, behind)) = next_record(rest) {
            rest = behind;
            if self.is_new(record) {
                out.extend_from_slice(record);
            }
        }
        out
    }

    fn is_new(&mut self, record: &[u8]) -> bool {
        let Some(fragments) = fragments(record) else {
            return true; // no handshake record in the clear
        };
        let mut new = false;
        for fragment in fragments {
            let Fragment {
                kind,
                sequence,
                offset,
                size,
                ..
            } = fragment;
            let place = (sequence, offset, size);
            // The library answers each first ClientHello with a HelloVerifyRequest, for which it has no timer.
            let first_hello = kind == CLIENT_HELLO && sequence == 0 && self.heard.iter().all(|(heard, ..)| *heard == 0);
            if !self.heard.contains(&place) {
                self.heard.push(place);
                new = true;
            }
            new |= first_hello;
        }
        new
    }
}
