//! The dialogs and the messages, and the structures that hold them.

use std::collections::HashMap;
use warmline::dialog::{BATCH, Match, Query, Seal, Table};

/// SplitMix64: the same load in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Texts of one message: a UUID at a host, a local tag of the common kind, a remote tag of the common kind.
#[derive(Clone, Copy)]
struct Texts {
    call_id: [u8; 50],
    local: [u8; 10],
    remote: [u8; 10],
}

impl Texts {
    fn new(random: &mut Random) -> Texts {
        let mut texts = Texts {
            call_id: *b"00000000-0000-4000-8000-000000000000@198.51.100.23",
            local: *b"as00000000",
            remote: *b"gK00000000",
        };
        for part in [&mut texts.call_id[..36], &mut texts.local[2..], &mut texts.remote[2..]] {
            let mut bits = random.next();
            for (at, character) in part.iter_mut().filter(|c| **c == b'0').enumerate() {
                *character = b"0123456789abcdef"[(bits & 15) as usize];
                bits = if at % 16 == 15 { random.next() } else { bits >> 4 };
            }
        }
        texts
    }
}

/// Messages in the order in which they arrive. The payload of a message's dialog is its place in this order.
pub(crate) struct Load {
    /// With local tags of the common kind.
    messages: Vec<Query<'static>>,
    /// Places, in the order in which their dialogs are made.
    order: Vec<usize>,
}

impl Load {
    pub(crate) fn new(size: usize) -> Load {
        let mut random = Random(size as u64);
        let texts: Vec<Texts> = (0..size).map(|_| Texts::new(&mut random)).collect();
        let messages = lay_out(texts.iter().map(|t| [&t.local[..], &t.call_id, &t.remote]));
        let mut order: Vec<usize> = (0..size).collect();
        for at in (1..size).rev() {
            order.swap(at, random.next() as usize % (at + 1));
        }
        Load { messages, order }
    }

    /// Where the look-ups go on: the next place, by way of what was found.
    #[inline(always)]
    fn next(&self, place: usize, payload: usize) -> usize {
        let next = place + 1 + (payload ^ place);
        if next < self.messages.len() { next } else { 0 }
    }
}

/// The messages' texts one after the other, as in receive buffers. They live as long as the process.
fn lay_out<'a>(texts: impl Iterator<Item = [&'a [u8]; 3]> + Clone) -> Vec<Query<'static>> {
    let mut arena = String::with_capacity(texts.clone().flatten().map(<[u8]>::len).sum());
    texts
        .clone()
        .flatten()
        .for_each(|text| arena.push_str(std::str::from_utf8(text).expect("ASCII")));
    let mut rest: &'static str = arena.leak();
    let mut cut = |length| {
        let (text, after) = rest.split_at(length);
        rest = after;
        text
    };
    texts
        .map(|[local, call_id, remote]| Query {
            local_tag: cut(local.len()),
            call_id: cut(call_id.len()),
            remote_tag: cut(remote.len()),
        })
        .collect()
}

/// Our table.
pub(crate) struct Ours {
    table: Table<usize>,
    /// The messages with the tags that the table has made.
    messages: Vec<Query<'static>>,
    /// Bytes that the process has grown by.
    pub(crate) resident: usize,
}

impl Ours {
    pub(crate) fn new(load: &Load) -> Ours {
        let before = resident();
        let mut table = Table::new(Seal::new(*b"benchmarking key", 1), 0xffff_fff0);
        let mut tags = vec![None; load.order.len()];
        let tags_bytes = size_of_val(&tags[..]);
        for place in &load.order {
            let Query {
                call_id, remote_tag, ..
            } = load.messages[*place];
            table.insert_with(call_id, Some(remote_tag), |_, tag| {
                tags[*place] = Some(tag);
                *place
            });
        }
        let resident = resident().saturating_sub(before + tags_bytes);
        let messages = lay_out(tags.iter().zip(&load.messages).map(|(tag, message)| {
            let tag = tag.as_ref().expect("made");
            [
                tag.as_bytes(),
                message.call_id.as_bytes(),
                message.remote_tag.as_bytes(),
            ]
        }));
        Ours {
            table,
            messages,
            resident,
        }
    }

    pub(crate) fn match_bytes(&self) -> usize {
        self.table.match_bytes()
    }

    #[inline(never)]
    pub(crate) fn one_by_one(&self, load: &Load, start: usize, lookups: usize) -> usize {
        let (mut place, mut found) = (start, 0);
        for _ in 0..lookups {
            let message = &self.messages[place];
            let found_here = self.table.find(message.local_tag, message.call_id, message.remote_tag);
            if let Match::Found(handle) = found_here
                && let Some(payload) = self.table.get(handle)
            {
                found += 1;
                place = load.next(place, *payload);
            }
        }
        found
    }

    /// `lookups` must be a multiple of the batch, and so must the table's size.
    #[inline(never)]
    pub(crate) fn batches(&self, load: &Load, start: usize, lookups: usize) -> usize {
        let mut results = [Match::NotOurs; BATCH];
        let (mut place, mut found) = (start / BATCH * BATCH, 0);
        for _ in 0..lookups / BATCH {
            let end = (place + BATCH).min(self.messages.len());
            let batch = &self.messages[end - BATCH..end];
            self.table.find_batch(batch, &mut results);
            let mut last = 0;
            for result in &results {
                if let Match::Found(handle) = result
                    && let Some(payload) = self.table.get(*handle)
                {
                    found += 1;
                    last = *payload;
                }
            }
            place = load.next(end - 1, last);
        }
        found
    }
}

/// A hash map whose key is one text.
pub(crate) struct Joined {
    map: HashMap<String, usize>,
    pub(crate) resident: usize,
}

fn join(key: &mut String, message: &Query<'_>) {
    key.clear();
    key.push_str(message.call_id);
    key.push('\n');
    key.push_str(message.local_tag);
    key.push('\n');
    key.push_str(message.remote_tag);
}

impl Joined {
    pub(crate) fn new(load: &Load) -> Joined {
        let before = resident();
        let mut map = HashMap::new();
        for place in &load.order {
            let mut key = String::with_capacity(72);
            join(&mut key, &load.messages[*place]);
            map.insert(key, *place);
        }
        Joined {
            map,
            resident: resident().saturating_sub(before),
        }
    }

    #[inline(never)]
    pub(crate) fn one_by_one(&self, load: &Load, start: usize, lookups: usize) -> usize {
        let (mut place, mut found) = (start, 0);
        let mut key = String::with_capacity(128);
        for _ in 0..lookups {
            join(&mut key, &load.messages[place]);
            if let Some(payload) = self.map.get(key.as_str()) {
                found += 1;
                place = load.next(place, *payload);
            }
        }
        found
    }
}

/// A hash map whose key is three texts.
pub(crate) struct Three {
    map: HashMap<[String; 3], usize>,
    pub(crate) resident: usize,
}

fn three(message: &Query<'_>) -> [String; 3] {
    [
        message.call_id.to_owned(),
        message.local_tag.to_owned(),
        message.remote_tag.to_owned(),
    ]
}

impl Three {
    pub(crate) fn new(load: &Load) -> Three {
        let before = resident();
        let mut map = HashMap::new();
        for place in &load.order {
            map.insert(three(&load.messages[*place]), *place);
        }
        Three {
            map,
            resident: resident().saturating_sub(before),
        }
    }

    #[inline(never)]
    pub(crate) fn one_by_one(&self, load: &Load, start: usize, lookups: usize) -> usize {
        let (mut place, mut found) = (start, 0);
        for _ in 0..lookups {
            if let Some(payload) = self.map.get(&three(&load.messages[place])) {
                found += 1;
                place = load.next(place, *payload);
            }
        }
        found
    }
}

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok())
        .unwrap_or_default();
    pages * 4096
}
