//! The dialogs, the messages, and the structures that hold them.

use std::collections::HashMap;
use std::time::Instant;
use warmline::dialog::{BATCH, DialogHandle, Match, Proxied, Query, Seal, TAG_LEN, Table};

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

    /// Adds the pattern, each `0` of it replaced by a digit of its own.
    fn digits<const N: usize>(&mut self, text: &mut Vec<u8>, mut pattern: [u8; N]) {
        let mut bits = 1;
        for character in pattern.iter_mut().filter(|character| **character == b'0') {
            bits = if bits == 1 { self.next() | 1 << 63 } else { bits };
            *character = b"0123456789abcdef"[(bits & 15) as usize];
            bits = if bits < 16 { 1 } else { bits >> 4 };
        }
        text.extend_from_slice(&pattern);
    }
}

/// Messages in the order in which they arrive: Call-ID (a UUID at a host), remote tag, local tag, one after the other.
pub(crate) struct Messages {
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
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn new(size: usize) -> Load {
        let mut random = Random(size as u64);
        let mut text = Vec::with_capacity(size * 70);
        for _ in 0..size {
            random.digits(&mut text, *b"00000000-0000-4000-8000-000000000000@198.51.100.23");
            random.digits(&mut text, *b"gK00000000");
            random.digits(&mut text, *b"as00000000");
        }
        let messages = Messages {
            text: String::from_utf8(text).expect("ASCII"),
            local: 10,
        };
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
}

impl Ours {
    pub(crate) fn new(load: &Load) -> Ours {
        let mut places = vec![None; load.order.len()];
        let table = Ours::table(load, &mut places);
        let mut messages = Messages {
            text: String::with_capacity(load.order.len() * 92),
            local: TAG_LEN,
        };
        for (place, handle) in places.iter().enumerate() {
            let query = load.messages.query(&load.messages.text, place);
            let tag = handle.and_then(|handle| table.tag(handle)).expect("it lives");
            messages.text.extend([query.call_id, query.remote_tag, tag.as_str()]);
        }
        Ours { table, messages }
    }

    /// The table alone, and the handle of each place's dialog.
    pub(crate) fn table(load: &Load, places: &mut [Option<DialogHandle>]) -> Table<usize> {
        let mut table = Table::new(Seal::new(*b"benchmarking key", 1), 0xffff_fff0);
        for place in &load.order {
            let query = load.messages.query(&load.messages.text, *place);
            places[*place] = Some(table.insert_with(query.call_id, Some(query.remote_tag), |_, _| *place));
        }
        table
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
        let mut map = HashMap::new();
        for place in &load.order {
            let mut key = String::with_capacity(72);
            join(&mut key, &load.messages.query(&load.messages.text, *place));
            map.insert(key, *place);
        }
        Joined {
            map,
            key: String::with_capacity(128),
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

/// The same, sixteen look-ups that do not wait for each other: the processor may overlap what it can by itself.
pub(crate) struct Unchained<'a>(pub(crate) &'a mut Joined);

impl Finds for Unchained<'_> {
    fn messages<'a>(&'a self, load: &'a Load) -> &'a Messages {
        &load.messages
    }

    #[inline(never)]
    fn find(&mut self, place: usize, batch: &[Query<'_>; BATCH]) -> usize {
        let mut found = 0;
        for (at, message) in batch.iter().enumerate() {
            join(&mut self.0.key, message);
            found += usize::from(self.0.map.get(self.0.key.as_str()) == Some(&(place + at)));
        }
        found
    }
}

/// A hash map whose key is three texts.
pub(crate) struct Three {
    map: HashMap<[String; 3], usize>,
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
        let mut map = HashMap::new();
        for place in &load.order {
            map.insert(three(&load.messages.query(&load.messages.text, *place)), *place);
        }
        Three { map }
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

/// Our map for dialogs whose tags are not ours, one message after the other.
pub(crate) struct Proxies(Proxied<usize>);

impl Proxies {
    pub(crate) fn new(load: &Load) -> Proxies {
        let mut map = Proxied::new(*b"benchmarking key");
        for place in &load.order {
            let query = load.messages.query(&load.messages.text, *place);
            map.insert(query.call_id, query.local_tag, query.remote_tag, *place);
        }
        Proxies(map)
    }
}

impl Finds for Proxies {
    fn messages<'a>(&'a self, load: &'a Load) -> &'a Messages {
        &load.messages
    }

    #[inline(never)]
    fn find(&mut self, place: usize, batch: &[Query<'_>; BATCH]) -> usize {
        let (mut at, mut found) = (0, 0);
        while let Some(message) = batch.get(at) {
            let Some(payload) = self.0.find(message.call_id, message.local_tag, message.remote_tag) else {
                break;
            };
            found += 1;
            at += 1 + (*payload ^ (place + at));
        }
        found
    }
}
