//! Forwarding by splicing (RFC 3261 §16.6): the edits of a proxy, every other octet as it came.

use super::chars::cut;
use super::header_name::HeaderName;
use super::index::{Entry, Start};
use super::message::Message;
use super::method::Method;
use super::params::until_comma;
use bytes::Bytes;
use std::fmt::{Display, Write};

/// Room for the text of the edits; a longer one moves to the heap.
const SCRATCH: usize = 512;
/// Edits without an allocation.
const EDITS: usize = 12;

/// Text of the edits, on the stack as long as it fits, so that printing is the only allocation.
#[derive(Clone, Debug)]
struct Scratch {
    len: usize,
    inline: [u8; SCRATCH],
    heap: Vec<u8>,
}

impl Scratch {
    fn get(&self, range: (usize, usize)) -> &[u8] {
        if self.heap.is_empty() {
            cut(&self.inline, range.0, range.1)
        } else {
            cut(&self.heap, range.0, range.1)
        }
    }

    fn push(&mut self, octets: &[u8]) {
        let end = self.len + octets.len();
        if self.heap.is_empty() {
            match self.inline.get_mut(self.len..end) {
                Some(place) => place.copy_from_slice(octets),
                None => {
                    self.heap.extend_from_slice(cut(&self.inline, 0, self.len));
                    self.heap.extend_from_slice(octets);
                }
            }
        } else {
            self.heap.extend_from_slice(octets);
        }
        self.len = end;
    }

    /// Writes a value; what would end its line becomes a space.
    fn value(&mut self, value: impl Display) -> (usize, usize) {
        struct OneLine<'a>(&'a mut Scratch);
        impl Write for OneLine<'_> {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                for (at, part) in text.split(['\r', '\n', '\0']).enumerate() {
                    if at > 0 {
                        self.0.push(b" ");
                    }
                    self.0.push(part.as_bytes());
                }
                Ok(())
            }
        }
        let start = self.len;
        write!(OneLine(self), "{value}").ok(); // writing to memory cannot fail
        (start, self.len)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Push,
    Set,
    Remove,
}

#[derive(Clone, Copy, Debug)]
struct Edit {
    what: What,
    name: HeaderName,
    text: (usize, usize),
}

/// A message on its way through the edge.
#[derive(Clone, Debug)]
pub struct Forward<'m> {
    message: &'m Message,
    text: Scratch,
    uri: Option<(usize, usize)>,
    pop_via: bool,
    pop_routes: usize,
    edits: [Edit; EDITS],
    count: usize,
    more: Vec<Edit>,
}

impl<'m> Forward<'m> {
    /// Starts from a message that parsed.
    pub fn new(message: &'m Message) -> Forward<'m> {
        let none = Edit {
            what: What::Push,
            name: HeaderName::Other,
            text: (0, 0),
        };
        Forward {
            message,
            text: Scratch {
                len: 0,
                inline: [0; SCRATCH],
                heap: Vec::new(),
            },
            uri: None,
            pop_via: false,
            pop_routes: 0,
            edits: [none; EDITS],
            count: 0,
            more: Vec::new(),
        }
    }

    fn edit(mut self, what: What, name: HeaderName, value: impl Display) -> Forward<'m> {
        let text = self.text.value(value);
        let edit = Edit { what, name, text };
        match self.edits.get_mut(self.count) {
            Some(place) => *place = edit,
            None => self.more.push(edit),
        }
        self.count += 1;
        self
    }

    fn edits(&self) -> impl DoubleEndedIterator<Item = &Edit> {
        let inline = self.edits.get(..self.count.min(EDITS)).unwrap_or_default();
        inline.iter().chain(self.more.iter())
    }

    /// Puts a Via on top.
    pub fn push_via(self, via: impl Display) -> Forward<'m> {
        self.edit(What::Push, HeaderName::Via, via)
    }

    /// Removes the top Via value, and its line if it was alone in it.
    pub fn pop_via(mut self) -> Forward<'m> {
        self.pop_via = true;
        self
    }

    /// Replaces the Request-URI; no effect on a response.
    pub fn request_uri(mut self, uri: impl Display) -> Forward<'m> {
        self.uri = Some(self.text.value(uri));
        self
    }

    /// Sets Max-Forwards.
    pub fn max_forwards(self, hops: u8) -> Forward<'m> {
        self.set(HeaderName::MaxForwards, hops)
    }

    /// Removes the top Route value, and its line if it was alone in it.
    pub fn pop_route(self) -> Forward<'m> {
        self.pop_routes(1)
    }

    /// Removes so many Route values from the top.
    pub fn pop_routes(mut self, count: usize) -> Forward<'m> {
        self.pop_routes = count;
        self
    }

    /// Adds a line above all others of its name; of several pushes the last stands first, as on a stack.
    pub fn push(self, name: HeaderName, value: impl Display) -> Forward<'m> {
        self.edit(What::Push, name, value)
    }

    /// Replaces the first line of this name and removes the others; adds the line where there is none.
    pub fn set(self, name: HeaderName, value: impl Display) -> Forward<'m> {
        self.edit(What::Set, name, value)
    }

    /// Removes every line of this name.
    pub fn remove(self, name: HeaderName) -> Forward<'m> {
        self.edit(What::Remove, name, "")
    }

    /// The message as it goes out: one allocation.
    pub fn print(&self) -> Bytes {
        let mut len = 0;
        self.emit(&mut |piece| len += piece.len());
        let mut out = Vec::with_capacity(len);
        self.emit(&mut |piece| out.extend_from_slice(piece));
        Bytes::from(out)
    }

    fn emit(&self, put: &mut impl FnMut(&[u8])) {
        let data = self.message.bytes();
        let index = self.message.index();
        self.emit_start(data, put);
        for edit in self.edits().rev().filter(|edit| edit.what == What::Push) {
            self.emit_line(edit, put);
        }
        for edit in self.edits().filter(|edit| edit.what == What::Set) {
            if !index.entries.iter().any(|entry| entry.id == edit.name) {
                self.emit_line(edit, put);
            }
        }
        let (mut via, mut route) = (usize::from(self.pop_via), self.pop_routes);
        let mut run = usize::from(index.headers_start);
        let mut entries = index.entries.iter().peekable();
        let mut before: u128 = 0;
        while let Some(entry) = entries.next() {
            let line = usize::from(entry.line);
            let next = entries
                .peek()
                .map_or(usize::from(index.headers_end), |entry| usize::from(entry.line));
            let first = before & (1 << (entry.id as u8)) == 0;
            before |= 1 << (entry.id as u8);
            let popped = (via > 0 && entry.id == HeaderName::Via) || (route > 0 && entry.id == HeaderName::Route);
            let name_end = line + usize::from(entry.name_len);
            let untidy = data.get(name_end) != Some(&b':');
            let edit = self
                .edits()
                .rfind(|e| e.what != What::Push && e.name == entry.id && e.name != HeaderName::Other);
            if !popped && edit.is_none() && !untidy {
                continue;
            }
            put(cut(data, run, line));
            run = next;
            match edit {
                Some(Edit { what: What::Set, .. }) if !first => {}
                Some(edit @ Edit { what: What::Set, .. }) => self.emit_line(edit, put),
                Some(Edit {
                    what: What::Remove | What::Push,
                    ..
                }) => {}
                None if popped => {
                    let count = if entry.id == HeaderName::Via {
                        &mut via
                    } else {
                        &mut route
                    };
                    *count = emit_popped(data, entry, next, *count, put);
                }
                None => emit_tidy(data, entry, next, put),
            }
        }
        put(cut(data, run, data.len()));
    }

    fn emit_start(&self, data: &[u8], put: &mut impl FnMut(&[u8])) {
        let end = usize::from(self.message.index().headers_start);
        match (&self.message.index().start, self.uri) {
            (Start::Request { uri }, Some(text)) => {
                put(cut(data, 0, usize::from(uri.start)));
                put(self.text.get(text));
                put(cut(data, usize::from(uri.end), end));
            }
            (Start::Request { .. } | Start::Response { .. }, _) => put(cut(data, 0, end)),
        }
    }

    fn emit_line(&self, edit: &Edit, put: &mut impl FnMut(&[u8])) {
        put(edit.name.canonical().as_bytes());
        put(b": ");
        put(self.text.get(edit.text));
        put(b"\r\n");
    }

    /// The method of the message: what a Request-URI edit applies to.
    pub fn method(&self) -> &Method {
        self.message.method()
    }
}

/// A line without the white space before its colon: a hop behind us may read the name otherwise.
fn emit_tidy(data: &[u8], entry: &Entry, next: usize, put: &mut impl FnMut(&[u8])) {
    let name_end = usize::from(entry.line) + usize::from(entry.name_len);
    let blanks = cut(data, name_end, next)
        .iter()
        .take_while(|octet| **octet != b':')
        .count();
    put(entry.name(data));
    put(cut(data, name_end + blanks, next));
}

/// A line without its first `count` values; nothing when there are no more. Gives how many are still to go.
fn emit_popped(data: &[u8], entry: &Entry, next: usize, mut count: usize, put: &mut impl FnMut(&[u8])) -> usize {
    let mut rest = entry.value.of(data);
    while count > 0 {
        count -= 1;
        rest = rest.get(until_comma(rest) + 1..).unwrap_or_default();
        let blank = rest.iter().take_while(|octet| super::chars::is_lws(**octet)).count();
        rest = rest.get(blank..).unwrap_or_default();
        if rest.is_empty() {
            return count;
        }
    }
    put(entry.name(data));
    put(b": ");
    put(cut(data, usize::from(entry.value.end) - rest.len(), next));
    count
}
