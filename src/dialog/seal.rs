//! The sealed local tag: a cookie that names its own slot and proves that we made it.
//!
//! **Owns** the layout of the tag, its alphabet and its MAC. **Refuses** to look anything up: opening a tag
//! reads no table, so a forged one costs its sender a packet and us one short hash.
//!
//! **RFC sections**: RFC 3261 §19.3 (tags: globally unique, at least 32 random bits), §12.1.1 (To tag of a UAS),
//! §8.1.1.3 (From tag of a UAC), §12.2.2 (a UAS may construct its tags so that whoever recovers can tell whose they are).
//!
//! | characters | bits | field |
//! |---|---|---|
//! | 0–15 | 16 + 32 + 32 | node, slot, generation, big-endian |
//! | 16–28 | 64 + 1 | SipHash-2-4 of the fields and a label, under the cluster's key; the last bit is zero |
//!
//! Why so: base32 of RFC 4648 in lower case, because tags are tokens that some peers compare without regard to case
//! and nothing but letters and digits survives every stack; all 32 bits of slot and generation, because cutting
//! them to reach 24 characters (one inline `CompactString`) would leave 56 bits for three fields, and a busy slot
//! would repeat its tag within hours. 80 bits are exactly 16 characters, so fields and MAC never share one.
//! [`Tag`] is an inline array instead; it needs no heap at any length. The fields are readable: the MAC makes the
//! tag unguessable, it does not hide how many dialogs there are.
//!
//! ```
//! use warmline::dialog::{Opened, Seal};
//!
//! let seal = Seal::new([7; 16], 3);
//! let tag = seal.tag(41, u32::MAX);
//! assert_eq!(tag.as_str().len(), 29);
//! let parts = seal.open(&tag).expect("we made it");
//! assert_eq!((parts.node, parts.slot, parts.generation), (3, 41, u32::MAX));
//!
//! let stranger = Seal::new([8; 16], 3);
//! assert_eq!(stranger.read(&tag), Opened::Forged);
//! assert_eq!(stranger.read("1928301774"), Opened::NotOurs);
//! ```

use compact_str::CompactString;
use siphasher::sip::SipHasher24;
use std::fmt;
use std::hash::Hasher;
use std::ops::Deref;
use subtle::ConstantTimeEq;

/// Characters of a sealed tag.
pub const TAG_LEN: usize = 29;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Separates this MAC from every other use of the cluster's key. Ten field bytes and these two make SipHash's second
/// block, which has room for seven: so the tag costs two blocks and not three.
const LABEL: u32 = u16::from_be_bytes(*b"dt") as u32;

/// What a sealed tag says once its MAC has been verified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TagParts {
    /// The node that made the tag.
    pub node: u16,
    /// The slot in that node's [`Table`](super::Table).
    pub slot: u32,
    /// The slot's generation when the tag was made.
    pub generation: u32,
}

/// The answer to "is this tag ours?", before any table is touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// The MAC holds: this cluster made it.
    Ours(TagParts),
    /// Not the shape of our tags: somebody else's.
    NotOurs,
    /// The shape of our tags, and the MAC fails.
    Forged,
}

/// A local tag that we made: 29 lower-case letters and digits, inline.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag([u8; TAG_LEN]);

impl Tag {
    /// The tag as it stands after `;tag=`.
    pub fn as_str(&self) -> &str {
        // Every character is of ALPHABET; the default is for the compiler.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Deref for Tag {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Tag {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Tag {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl From<Tag> for CompactString {
    fn from(tag: Tag) -> CompactString {
        CompactString::new(tag.as_str())
    }
}

/// Makes and opens the tags of one cluster, as one node of it.
///
/// The key belongs to the cluster and outlives a process; a node of another number opens the tag and learns whose it is.
#[derive(Clone)]
pub struct Seal {
    key: (u64, u64),
    node: u16,
}

impl Seal {
    /// A seal under the cluster's `key`, speaking for `node`.
    pub fn new(key: [u8; 16], node: u16) -> Seal {
        Seal {
            key: SipHasher24::new_with_key(&key).keys(),
            node,
        }
    }

    /// The node whose tags [`Seal::tag`] makes.
    pub fn node(&self) -> u16 {
        self.node
    }

    /// The tag of this node's `slot` in its `generation`.
    pub fn tag(&self, slot: u32, generation: u32) -> Tag {
        self.print(TagParts {
            node: self.node,
            slot,
            generation,
        })
    }

    /// The tag that says `parts`, whichever node of the cluster they name (adopted dialogs keep their tags).
    pub fn print(&self, parts: TagParts) -> Tag {
        let mac = self.mac(parts);
        let groups = [
            u64::from(parts.node) << 24 | u64::from(parts.slot) >> 8,
            u64::from(parts.slot & 0xff) << 32 | u64::from(parts.generation),
            mac >> 24,
            mac << 16 & 0xff_ffff_ffff,
        ];
        let mut text = [0; TAG_LEN];
        for (characters, group) in text.chunks_mut(8).zip(groups) {
            for (at, character) in characters.iter_mut().enumerate() {
                let value = group >> (35 - 5 * at) & 31;
                *character = ALPHABET.get(value as usize).copied().unwrap_or(b'a');
            }
        }
        Tag(text)
    }

    /// Opens a tag: its parts, if this cluster made it. [`Seal::read`] says why not.
    pub fn open(&self, tag: &str) -> Option<TagParts> {
        match self.read(tag) {
            Opened::Ours(parts) => Some(parts),
            Opened::NotOurs | Opened::Forged => None,
        }
    }

    /// Opens a tag and tells a stranger's from a forged one. The MAC is compared in constant time.
    #[inline]
    pub fn read(&self, tag: &str) -> Opened {
        let Some([a, b, c, d]) = groups(tag.as_bytes()) else {
            return Opened::NotOurs;
        };
        let parts = TagParts {
            node: (a >> 24) as u16,
            slot: (a << 8 | b >> 32) as u32,
            generation: b as u32,
        };
        // The last 65 of these 80 bits: the MAC and the spare bit.
        let (mac, spare) = (c << 39 | d >> 1, d & 1);
        let wrong = self.mac(parts) ^ mac | spare;
        if bool::from(wrong.ct_eq(&0)) {
            Opened::Ours(parts)
        } else {
            Opened::Forged
        }
    }

    /// The keys are given to the hasher here and not in [`Seal::new`]: so the compiler knows that nothing has been
    /// hashed yet, and what is left of SipHash is two blocks without a branch.
    #[inline]
    fn mac(&self, parts: TagParts) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.key.0, self.key.1);
        hasher.write_u64(u64::from(parts.slot) << 32 | u64::from(parts.generation));
        hasher.write_u32(u32::from(parts.node) << 16 | LABEL);
        hasher.finish()
    }
}

impl fmt::Debug for Seal {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Characters 0–7, 8–15, 13–20 and 21–28, 40 bits each; `None` if these are not 29 of our characters.
///
/// The characters are read as two sixteens that overlap, and every step is the same for all of them without a branch,
/// so that the compiler makes vectors of it: one by one this would be half of what a look-up costs.
#[inline]
fn groups(tag: &[u8]) -> Option<[u64; 4]> {
    let (first, last) = (tag.first_chunk::<16>()?, tag.last_chunk::<16>()?);
    if tag.len() != TAG_LEN {
        return None;
    }
    let mut values = [0; 32];
    let (low, high) = values.split_at_mut(16);
    low.copy_from_slice(first);
    high.copy_from_slice(last);
    for value in &mut values {
        let letter = value.wrapping_sub(b'a');
        let digit = value.wrapping_sub(b'2').saturating_add(26); // above 31 if it is no digit of ours either
        *value = if letter < 26 { letter } else { digit };
    }
    let (eights, _) = values.as_chunks::<8>();
    let mut groups = [0; 4];
    for (group, eight) in groups.iter_mut().zip(eights) {
        *group = u64::from_le_bytes(*eight);
    }
    let [a, b, c, d] = groups;
    if (a | b | c | d) & 0xe0e0_e0e0_e0e0_e0e0 != 0 {
        return None;
    }
    for group in &mut groups {
        // The first character of each pair is the higher one, and so on with pairs and fours.
        let tens = (*group & 0x001f_001f_001f_001f) << 5 | *group >> 8 & 0x001f_001f_001f_001f;
        let twenties = (tens & 0x0000_03ff_0000_03ff) << 10 | tens >> 16 & 0x0000_03ff_0000_03ff;
        *group = (twenties & 0xf_ffff) << 20 | twenties >> 32;
    }
    Some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seal() -> Seal {
        Seal::new(*b"0123456789abcdef", 0xabcd)
    }

    #[test]
    fn a_tag_is_a_lower_case_token_of_29_characters() {
        let tag = seal().tag(0x0102_0304, 0xffff_fffe);
        assert!(
            tag.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()),
            "{tag}"
        );
        assert_eq!(tag.len(), TAG_LEN);
        assert_eq!(format!("{tag:?}"), format!("\"{tag}\""));
    }

    #[test]
    fn the_padding_bit_has_one_form() {
        let tag = seal().tag(5, 5);
        let (head, last) = tag.split_at(28);
        let value = ALPHABET.iter().position(|c| [*c] == last.as_bytes()).unwrap();
        let other = format!("{head}{}", ALPHABET[value ^ 1] as char);
        assert_eq!(seal().read(&other), Opened::Forged);
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", seal()), "Seal { node: 43981, .. }");
    }

    proptest! {
        #[test]
        fn open_undoes_tag(node: u16, slot: u32, generation: u32, key: [u8; 16]) {
            let parts = TagParts { node, slot, generation };
            let seal = Seal::new(key, node);
            prop_assert_eq!(seal.open(&seal.tag(slot, generation)), Some(parts));
            // Another node of the cluster reads whose it is.
            prop_assert_eq!(Seal::new(key, node.wrapping_add(1)).open(&seal.print(parts)), Some(parts));
        }

        #[test]
        fn one_changed_character_is_refused(slot: u32, generation: u32, at in 0..TAG_LEN, to in 0..32usize) {
            let tag = seal().tag(slot, generation);
            let mut text = tag.as_str().as_bytes().to_vec();
            text[at] = ALPHABET[to];
            let text = String::from_utf8(text).unwrap();
            let expected = if text == tag.as_str() {
                Opened::Ours(TagParts { node: 0xabcd, slot, generation })
            } else {
                Opened::Forged
            };
            prop_assert_eq!(seal().read(&text), expected);
        }

        #[test]
        fn one_changed_bit_is_refused(slot: u32, generation: u32, bit in 0..TAG_LEN * 7) {
            let mut text = seal().tag(slot, generation).as_str().as_bytes().to_vec();
            text[bit / 7] ^= 1 << (bit % 7);
            let text = String::from_utf8(text).unwrap();
            prop_assert!(matches!(seal().read(&text), Opened::NotOurs | Opened::Forged));
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,64}") {
            prop_assert!(seal().open(&text).is_none());
        }
    }
}
