//! The sealed local tag: a cookie that names its own slot and proves that we made it.
//!
//! **Owns** the layout of the tag, its alphabet and its MAC. **Refuses** to look anything up: opening a tag
//! reads no table, so a forged one costs its sender a packet and us one short hash.
//!
//! **RFC sections**: RFC 3261 §19.3 (tags: globally unique, at least 32 random bits), §12.1.1 (To tag of a UAS),
//! §8.1.1.3 (From tag of a UAC), §12.2.2 (a UAS may construct its tags so that whoever recovers can tell whose they are).
//!
//! | characters | what they carry |
//! |---|---|
//! | 0–7 | the low five bits of each byte of slot and generation (64 bits) |
//! | 8–15 | the high three bits of the same bytes, and above them two bits of the node each (16 bits) |
//! | 16–23 | the low five bits of each byte of the MAC: SipHash-2-4 of the fields under the cluster's key (64 bits) |
//! | 24–31 | the high three bits of the same bytes |
//!
//! Why so: base32 of RFC 4648 in lower case, because some peers compare tags without regard to case and nothing but
//! letters and digits survives every stack. All 32 bits of slot and generation, because cutting them to reach 24
//! characters (one inline `CompactString`) would leave 56 bits for three fields, and a busy slot would repeat its tag
//! within hours; [`Tag`] is an inline array and needs no heap at any length. 29 characters would hold these 144 bits.
//! The three more let every byte of a field lie in the same place of two characters, so that a tag is read eight
//! characters at a time and not one by one: a quarter of what a look-up costs. The fields are readable: the MAC makes
//! the tag unguessable, it does not hide how many dialogs there are.
//!
//! ```
//! use warmline::dialog::{Opened, Seal};
//!
//! let seal = Seal::new([7; 16], 3);
//! let tag = seal.tag(41, u32::MAX);
//! assert_eq!(tag.as_str().len(), 32);
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

/// Characters of a sealed tag.
pub const TAG_LEN: usize = 32;

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

/// A local tag that we made: 32 lower-case letters and digits, inline.
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
        let (fields, mac) = (word(parts), self.mac(parts));
        let groups = [
            fields & LOW,
            fields >> 5 & HIGH | spread(parts.node) << 3,
            mac & LOW,
            mac >> 5 & HIGH,
        ];
        let mut text = [0; TAG_LEN];
        for (character, value) in text.iter_mut().zip(groups.map(u64::to_le_bytes).as_flattened()) {
            *character = ALPHABET.get(usize::from(*value)).copied().unwrap_or(b'a');
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
        let Some([low, high, mac_low, mac_high]) = groups(tag.as_bytes()) else {
            return Opened::NotOurs;
        };
        let fields = low | (high & HIGH) << 5;
        let parts = TagParts {
            node: gather(high >> 3),
            slot: (fields >> 32) as u32,
            generation: fields as u32,
        };
        // The bits above the MAC's have one form, so that a tag has one spelling. One word is compared at once, and
        // so in constant time.
        let wrong = self.mac(parts) ^ (mac_low | mac_high << 5) | mac_high & !HIGH;
        if wrong == 0 {
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
        hasher.write_u64(word(parts));
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

/// The low five bits of every byte, and the high three when they are shifted down.
const LOW: u64 = u64::from_ne_bytes([0x1f; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x07; 8]);

#[inline]
fn word(parts: TagParts) -> u64 {
    u64::from(parts.slot) << 32 | u64::from(parts.generation)
}

/// The low two bits of every byte, joined.
#[inline]
fn gather(bytes: u64) -> u16 {
    let fours = (bytes & 0x0003_0003_0003_0003) | bytes >> 6 & 0x000c_000c_000c_000c;
    let eights = (fours | fours >> 12) & 0x0000_00ff_0000_00ff;
    (eights | eights >> 24) as u16
}

/// Undoes [`gather`].
fn spread(node: u16) -> u64 {
    let node = u64::from(node);
    let eights = (node | node << 24) & 0x0000_00ff_0000_00ff;
    let fours = (eights | eights << 12) & 0x000f_000f_000f_000f;
    (fours | fours << 6) & 0x0303_0303_0303_0303
}

/// The values of a tag's characters, eight to a word; `None` if these are not 32 of ours.
///
/// Every step is the same for all of them and without a branch, so that the compiler makes vectors of it.
#[inline]
fn groups(tag: &[u8]) -> Option<[u64; 4]> {
    let mut values: [u8; TAG_LEN] = tag.try_into().ok()?;
    for value in &mut values {
        let letter = value.wrapping_sub(b'a');
        let digit = value.wrapping_sub(b'2').saturating_add(26); // above 31 if it is no digit of ours either
        *value = if letter < 26 { letter } else { digit };
    }
    let mut groups = [0; 4];
    for (group, eight) in groups.iter_mut().zip(values.as_chunks::<8>().0) {
        *group = u64::from_le_bytes(*eight);
    }
    let [a, b, c, d] = groups;
    ((a | b | c | d) & !LOW == 0).then_some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seal() -> Seal {
        Seal::new(*b"0123456789abcdef", 0xabcd)
    }

    #[test]
    fn a_tag_is_a_lower_case_token_of_32_characters() {
        let tag = seal().tag(0x0102_0304, 0xffff_fffe);
        assert!(
            tag.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()),
            "{tag}"
        );
        assert_eq!(tag.len(), TAG_LEN);
        assert_eq!(format!("{tag:?}"), format!("\"{tag}\""));
    }

    #[test]
    fn a_tag_has_one_spelling() {
        let tag = seal().tag(5, 5);
        for at in 24..TAG_LEN {
            let mut text = tag.as_str().as_bytes().to_vec();
            let value = ALPHABET.iter().position(|c| *c == text[at]).unwrap();
            for spare in [8, 16, 24] {
                text[at] = ALPHABET[value | spare];
                assert_eq!(seal().read(std::str::from_utf8(&text).unwrap()), Opened::Forged);
            }
        }
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
