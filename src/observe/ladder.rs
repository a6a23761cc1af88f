//! A message ladder as it happens: one column a party, one line a message.
//!
//! ```text
//!         customer                edge                operator               consult
//!   0.412     │── INVITE operator ─▶│                     │                     │  SDP sendrecv :20004
//!   0.414     │                     │── INVITE operator ─▶│                     │  SDP sendrecv :20004
//!   0.431     │                     │◀──── 180 Ringing ───│                     │
//! ```
//!
//! The layout fits 110 columns for four parties. Colour is the caller's choice (only for a terminal), so is plain ASCII.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use super::metrics::Way;
use super::note::{Told, told};
use crate::sip::Message;

/// Columns of the whole line.
const WIDTH: usize = 110;
/// Where the first party stands.
const FIRST: usize = 12;
/// From one party to the next.
const STEP: usize = 22;
/// Messages whose repetition is noticed; then the memory starts anew.
const REMEMBERED: usize = 4_096;

/// How a ladder is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours.
    pub colour: bool,
    /// Box-drawing characters instead of plain ASCII.
    pub unicode: bool,
}

impl Style {
    /// Paints a text with an ANSI colour code (`1` bold, `2` dim, `31` red, …), or leaves it as it is.
    pub fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn pick(self, unicode: char, ascii: char) -> char {
        if self.unicode { unicode } else { ascii }
    }
}

struct Party {
    name: String,
    /// `None`: the edge itself.
    address: Option<SocketAddr>,
}

/// Draws messages between the edge and its parties.
pub struct Ladder {
    style: Style,
    redact: bool,
    parties: Vec<Party>,
    started: Option<Instant>,
    seen: HashSet<u64>,
}

impl Ladder {
    /// A ladder without columns.
    pub fn new(style: Style) -> Ladder {
        Ladder {
            style,
            redact: false,
            parties: Vec::new(),
            started: None,
            seen: HashSet::new(),
        }
    }

    /// Whether numbers and names in messages are hidden. Names of columns are the caller's.
    #[must_use]
    pub fn redacted(self, redact: bool) -> Ladder {
        Ladder { redact, ..self }
    }

    /// Adds a column, from left to right: a party by the address that its messages come from, or the edge (`None`).
    #[must_use]
    pub fn column(mut self, name: &str, address: Option<SocketAddr>) -> Ladder {
        self.parties.push(Party {
            name: name.to_owned(),
            address,
        });
        self
    }

    /// The names above their columns.
    pub fn head(&self) -> String {
        let mut line = Line::new(&[]);
        for (at, party) in self.parties.iter().enumerate() {
            let start = place(at).saturating_sub(party.name.chars().count() / 2);
            line.write(start, &party.name);
        }
        self.style.paint("1", line.text().trim_end())
    }

    /// A heading between steps.
    pub fn heading(&self, text: &str) -> String {
        let dash = self.style.pick('─', '-');
        let rule: String = std::iter::repeat_n(dash, WIDTH.saturating_sub(text.chars().count() + 4)).collect();
        let lead: String = std::iter::repeat_n(dash, 2).collect();
        format!(
            "{} {} {}",
            self.style.paint("2", &lead),
            self.style.paint("1", text),
            self.style.paint("2", &rule)
        )
    }

    /// One message between the edge and `remote`.
    pub fn message(&mut self, at: Instant, way: Way, remote: SocketAddr, bytes: &Bytes) -> String {
        let started = *self.started.get_or_insert(at);
        let time = format!("{:7.3}", at.saturating_duration_since(started).as_secs_f64());
        let time = self.style.paint("2", &time);
        let again = self.is_repeated(way, remote, bytes);
        let Ok(message) = Message::parse(bytes.clone()) else {
            return format!(
                "{time}  {} octets that are no message, {} {remote}",
                bytes.len(),
                direction(way)
            );
        };
        let Told {
            labels,
            mut note,
            colour,
        } = told(&message, self.redact);
        if again {
            note = if note.is_empty() {
                "repeated".to_owned()
            } else {
                format!("repeated: {note}")
            };
        }
        let edge = self.parties.iter().position(|party| party.address.is_none());
        let other = self.parties.iter().position(|party| party.address == Some(remote));
        let (Some(edge), Some(other)) = (edge, other) else {
            let label = labels.first().map_or("", String::as_str);
            return format!("{time}  {label} {} {remote}", direction(way));
        };
        let (from, to) = match way {
            Way::In => (other, edge),
            Way::Out => (edge, other),
        };
        self.draw(&time, from, to, &labels, &note, if again { "2" } else { colour })
    }

    fn draw(&self, time: &str, from: usize, to: usize, labels: &[String], note: &str, colour: &str) -> String {
        let lifelines: Vec<usize> = (0..self.parties.len()).map(place).collect();
        let mut line = Line::new(&[]);
        for at in &lifelines {
            line.put(*at, self.style.pick('│', '|'));
        }
        let (left, right) = (place(from.min(to)) + 1, place(from.max(to)));
        for at in left..right {
            let crossing = lifelines.contains(&at);
            line.put(
                at,
                if crossing {
                    self.style.pick('┼', '+')
                } else {
                    self.style.pick('─', '-')
                },
            );
        }
        if from < to {
            line.put(right - 1, self.style.pick('▶', '>'));
        } else {
            line.put(left, self.style.pick('◀', '<'));
        }
        let room = (STEP - 1).saturating_sub(4);
        let fits = labels
            .iter()
            .find(|label| label.chars().count() + 2 <= room)
            .or(labels.last());
        let label = format!(" {} ", shorten(fits.map_or("", String::as_str), room - 2));
        // The label stands in the sender's half, where the eye looks for what was said.
        let near = if from < to { left } else { right - (STEP - 1) };
        line.write(near + (STEP - 1 - label.chars().count()) / 2, &label);
        let text = line.text();
        let part = |from: usize, to: usize| text.chars().skip(from).take(to - from).collect::<String>();
        let space = place(self.parties.len().saturating_sub(1)) + 3;
        let end = part(right, space);
        let note = shorten(note, WIDTH.saturating_sub(space));
        let (before, arrow) = (part(7, left), part(left, right));
        let dim = |text: &str| self.style.paint("2", text);
        let whole = format!(
            "{time}{}{}{}{note}",
            dim(&before),
            self.style.paint(colour, &arrow),
            dim(&end)
        );
        whole.trim_end().to_owned()
    }

    /// RFC 3261 §17: what is lost is sent again, octet for octet.
    fn is_repeated(&mut self, way: Way, remote: SocketAddr, bytes: &Bytes) -> bool {
        let mut hasher = DefaultHasher::new();
        (way == Way::In, remote, bytes).hash(&mut hasher);
        if self.seen.len() >= REMEMBERED {
            self.seen.clear();
        }
        !self.seen.insert(hasher.finish())
    }
}

/// A message in one line, and what matters in it.
pub(super) fn summary(bytes: &Bytes, redact: bool) -> (String, String) {
    match Message::parse(bytes.clone()) {
        Ok(message) => {
            let Told { labels, note, .. } = told(&message, redact);
            (labels.into_iter().next().unwrap_or_default(), note)
        }
        Err(_) => (format!("{} octets that are no message", bytes.len()), String::new()),
    }
}

fn direction(way: Way) -> &'static str {
    match way {
        Way::In => "from",
        Way::Out => "to",
    }
}

fn place(column: usize) -> usize {
    FIRST + column * STEP
}

fn shorten(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(2)).collect();
    format!("{}..", kept.trim_end())
}

/// A line of characters at fixed places.
struct Line(Vec<char>);

impl Line {
    fn new(chars: &[char]) -> Line {
        let mut line = vec![' '; WIDTH];
        for (place, char) in line.iter_mut().zip(chars) {
            *place = *char;
        }
        Line(line)
    }

    fn put(&mut self, at: usize, char: char) {
        if let Some(place) = self.0.get_mut(at) {
            *place = char;
        }
    }

    fn write(&mut self, at: usize, text: &str) {
        for (offset, char) in text.chars().enumerate() {
            self.put(at + offset, char);
        }
    }

    fn text(&self) -> String {
        self.0.iter().collect()
    }
}

#[cfg(test)]
mod tests;
