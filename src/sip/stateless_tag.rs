//! The To tag of a response that makes no dialog (RFC 3261 §8.2.7): the same for every copy of a request, without memory.

use compact_str::{CompactString, format_compact};
use siphasher::sip::SipHasher24;
use std::hash::Hasher;

use super::message::Message;

/// Keeps these tags apart from everything else that is made with the same key: a stranger chooses the Call-ID, and what
/// comes out must not be a MAC of anything.
const PURPOSE: &[u8] = b"warmline stateless to-tag\0";

impl Message {
    /// A tag for the To of the response to this request, from its Call-ID, From tag and CSeq under `key`. It never opens
    /// as the tag of a leg.
    pub fn stateless_tag(&self, key: &[u8; 16]) -> CompactString {
        let mut purpose = SipHasher24::new_with_key(key);
        purpose.write(PURPOSE);
        let mut tag = SipHasher24::new_with_keys(purpose.finish(), purpose.finish().rotate_left(32));
        for part in [
            self.call_id().as_bytes(),
            self.from_tag().unwrap_or_default().as_bytes(),
        ] {
            tag.write_u64(part.len() as u64);
            tag.write(part);
        }
        tag.write_u32(self.cseq());
        format_compact!("{:016x}", tag.finish())
    }
}

#[cfg(test)]
mod tests {
    use crate::sip::Message;

    fn tag(call_id: &str, from_tag: &str, cseq: u32, key: u8) -> String {
        let text = format!(
            "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:b>;tag={from_tag}\r\nTo: <sip:a>\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} OPTIONS\r\n\r\n"
        );
        Message::parse(text.into())
            .unwrap()
            .stateless_tag(&[key; 16])
            .to_string()
    }

    #[test]
    fn a_retransmission_gets_the_same_tag_and_another_request_another() {
        assert_eq!(tag("c", "f", 1, 1), tag("c", "f", 1, 1));
        let tags = [
            tag("c", "f", 1, 1),
            tag("cf", "f", 1, 1),
            tag("c", "ff", 1, 1),
            tag("c", "f", 2, 1),
            tag("c", "f", 1, 2),
        ];
        for (at, one) in tags.iter().enumerate() {
            assert!(!tags[..at].contains(one), "{one}");
        }
    }
}
