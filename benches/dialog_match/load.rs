//! The dialogs, the messages, and the structures that hold them.

use std::collections::HashMap;
use std::time::Instant;
use warmline::dialog::{BATCH, Match, Query, Seal, TAG_LEN, Table};

const CALL_ID: usize = 50;
const REMOTE: usize = 10;

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

    /// The text with each `0` replaced by a digit of its own.
    fn digits(&mut self, text: &mut String, pattern: &str) {
        let mut bits = 0;
        for character in pattern.chars() {
            bits = if bits == 0 { self.next() } else { bits };
            text.push(if character == '0' {
                char::from(b"0123456789abcdef"[(bits & 15) as usize])
            } else {
                character
            });
            bits >>= 4;
        }
    }
}

/// Messages in the order in which they arrive: Call-ID (a UUID at a host), remote tag, local tag, one after the other.
struct Messages {
    text: String,
    local: usize,
}

impl Messages {
    fn stride(&self) -> usize {
        CALL_ID + REMOTE + self.local
    }

    fn query<'a>(&self, text: &'a str, place: usize) -> Query<'a> {
        let start = place * self.stride();
        let (call_id, rest) = text[start..start + self.stride()].split_at(CALL_ID);
        let (remote_tag, local_tag) = rest.split_at(REMOTE);
        Query {
            local_tag,
            call_id,
            remote_tag,
        }
    }

    /// What a receive call leaves behind: so many messages in a buffer that is used again, and warm.
    fn receive<'a>(&self, buffer: &'a mut String, place: usize) -> [Query<'a>; BATCH] {
        buffer.clear();
        buffer.push_str(&self.text[place * self.stride()..(place + BATCH) * self.stride()]);
        std::array::from_fn(|n| self.query(buffer, n))
    }
}

/// What all structures are filled with. The payload of a dialog is the place of its message.
pub(crate) struct Load {
    /// With local tags of the common kind.
    messages: Messages,
    /// Places, in the order in which their dialogs are made.
    order: Vec<usize>,
}

impl Load {
    pub(crate) fn new(size: usize) -> Load {
        let mut random = Random(size as u64);
        let mut messages = Messages {
            text: String::with_capacity(size * 70),
            local: 10,
        };
        for _ in 0..size {
            random.digits(&mut messages.text, "00000000-0000-4000-8000-000000000000@198.51.100.23");
            random.digits(&mut messages.text, "gK00000000");
            random.digits(&mut messages.text, "as00000000");
        }
        let mut order: Vec<usize> = (0..size).collect();
        for at in (1..size).rev() {
            order.swap(at, random.next() as usize % (at + 1));
        }
        Load { messages, order }
    }
}

/// A structure that finds the dialogs of messages.
pub(crate) trait Finds {
    fn messages<'a>(&'a self, load: &'a Load) -> &'a Messages;

    /// Looks sixteen messages up, the next only when the one before has been found: its payload says where the next
    /// one lies. Returns how many were found.
    fn find(&mut self, place: usize, batch: &[Query<'_>; BATCH]) -> usize;
}

/// Nanoseconds of `batches` batches, receiving not counted, each batch by itself.
pub(crate) fn times(finds: &mut impl Finds, load: &Load, start: usize, batches: usize) -> Vec<u64> {
    let mut buffer = String::new();
    let mut times = Vec::with_capacity(batches);
    let places = load.order.len() / BATCH;
    for batch in 0..batches {
        let place = (start + batch) % places * BATCH;
        let received = finds.messages(load).receive(&mut buffer, place);
        let before = Instant::now();
        let found = finds.find(place, &received);
        times.push(before.elapsed().as_nanos() as u64);
        assert_eq!(found, BATCH, "every look-up finds its dialog");
    }
    times
}

/// The first batch again and again, for counting.
pub(crate) fn repeat(finds: &mut impl Finds, load: &Load, batches: usize) {
    let mut buffer = String::new();
    let messages = Messages {
        text: finds.messages(load).text.clone(),
        local: finds.messages(load).local,
    };
    let received = messages.receive(&mut buffer, 0);
    let found: usize = (0..batches).map(|_| finds.find(0, &received)).sum();
    assert_eq!(found, batches * BATCH, "every look-up finds its dialog");
}

/// Our table, one message after the other.
pub(crate) struct Ours {
    table: Table<usize>,
    messages: Messages,
    /// Bytes that the process has grown by.
    pub(crate) resident: usize,
}

impl Ours {
    pub(crate) fn new(load: &Load) -> Ours {
        let before = resident();
        let mut table = Table::new(Seal::new(*b"benchmarking key", 1), 0xffff_fff0);
        let mut handles = Vec::with_capacity(load.order.len());
        for place in &load.order {
            let query = load.messages.query(&load.messages.text, *place);
            handles.push(table.insert_with(query.call_id, Some(query.remote_tag), |_, _| *place));
        }
        let resident = resident().saturating_sub(before + size_of_val(&handles[..]));
        let mut in_place = handles.clone();
        for (handle, place) in handles.iter().zip(&load.order) {
            in_place[*place] = *handle;
        }
        let mut messages = Messages {
            text: String::with_capacity(load.order.len() * 92),
            local: TAG_LEN,
        };
        for (place, handle) in in_place.iter().enumerate() {
            let query = load.messages.query(&load.messages.text, place);
            let tag = table.tag(*handle).expect("it lives");
            messages.text.extend([query.call_id, query.remote_tag, tag.as_str()]);
        }
        Ours {
            table,
            messages,
            resident,
        }
    }

    pub(crate) fn match_bytes(&self) -> usize {
        self.table.match_bytes()
    }
}

impl Finds for Ours {
    fn messages<'a>(&'a self, _: &'a Load) -> &'a Messages {
        &self.messages
    }

    #[inline(never)]
    fn find(&mut self, place: usize, batch: &[Query<'_>; BATCH]) -> usize {
        let (mut at, mut found) = (0, 0);
        while let Some(message) = batch.get(at) {
            let result = self.table.find(message.local_tag, message.call_id, message.remote_tag);
            let Some(payload) = result.handle().and_then(|handle| self.table.get(handle)) else {
                break;
            };
            found += 1;
            at += 1 + (*payload ^ (place + at));
        }
        found
    }
}

/// Our table, a receive batch at a time; ends with the handles.
pub(crate) struct Batch<'a>(pub(crate) &'a Ours);

impl Finds for Batch<'_> {
    fn messages<'a>(&'a self, _: &'a Load) -> &'a Messages {
        &self.0.messages
    }

    #[inline(never)]
    fn find(&mut self, _: usize, batch: &[Query<'_>; BATCH]) -> usize {
        let mut results = [Match::NotOurs; BATCH];
        self.0.table.find_batch(batch, &mut results);
        results.iter().filter(|result| result.handle().is_some()).count()
    }
}

/// A hash map whose key is one text, joined in a buffer that is used again.
pub(crate) struct Joined {
    map: HashMap<String, usize>,
    key: String,
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
            join(&mut key, &load.messages.query(&load.messages.text, *place));
            map.insert(key, *place);
        }
        Joined {
            map,
            key: String::with_capacity(128),
            resident: resident().saturating_sub(before),
        }
    }
}

impl Finds for Joined {
    fn messages<'a>(&'a self, load: &'a Load) -> &'a Messages {
        &load.messages
    }

    #[inline(never)]
    fn find(&mut self, place: usize, batch: &[Query<'_>; BATCH]) -> usize {
        let (mut at, mut found) = (0, 0);
        while let Some(message) = batch.get(at) {
            join(&mut self.key, message);
            let Some(payload) = self.map.get(self.key.as_str()) else {
                break;
            };
            found += 1;
            at += 1 + (*payload ^ (place + at));
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
            map.insert(three(&load.messages.query(&load.messages.text, *place)), *place);
        }
        Three {
            map,
            resident: resident().saturating_sub(before),
        }
    }
}

impl Finds for Three {
    fn messages<'a>(&'a self, load: &'a Load) -> &'a Messages {
        &load.messages
    }

    #[inline(never)]
    fn find(&mut self, place: usize, batch: &[Query<'_>; BATCH]) -> usize {
        let (mut at, mut found) = (0, 0);
        while let Some(message) = batch.get(at) {
            let Some(payload) = self.map.get(&three(message)) else {
                break;
            };
            found += 1;
            at += 1 + (*payload ^ (place + at));
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
