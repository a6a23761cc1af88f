//! Reads one table of the file key by key, remembers which keys exist, and names those that do not.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Problems, nearest};

/// A value and its place in the text.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

impl<T> Found<T> {
    pub(super) fn with<U>(&self, value: U) -> Found<U> {
        Found {
            value,
            span: self.span.clone(),
        }
    }
}

/// A word of a choice: what it means, or why it is refused.
pub(super) type Choice<T> = (&'static str, Result<T, &'static str>);

/// One table of the file.
pub(super) struct Fields<'a> {
    /// As it is written: `[edge]`, `[[listen]]`.
    title: &'static str,
    /// Where its header or its key stands.
    pub(super) span: Range<usize>,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(title: &'static str, span: Range<usize>, table: &'a DeTable<'a>) -> Self {
        Fields {
            title,
            span,
            table,
            asked: Vec::new(),
        }
    }

    fn ask(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.push(key);
        self.table.get(key)
    }

    /// Where the key itself stands, for problems that concern the whole entry.
    pub(super) fn key_span(&self, key: &str) -> Range<usize> {
        self.table
            .get_key_value(key)
            .map_or(self.span.clone(), |(key, _)| key.span())
    }

    /// Whether the key is there, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// A text value.
    pub(super) fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<Found<&'a str>> {
        let value = self.ask(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(Found {
                value: text,
                span: value.span(),
            }),
            None => {
                wrong_type(key, value, "a text in quotes", problems);
                None
            }
        }
    }

    /// A text value that must be there.
    pub(super) fn required(
        &mut self,
        key: &'static str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<Found<&'a str>> {
        if self.table.get(key).is_none() {
            self.asked.push(key);
            problems.add(
                self.span.clone(),
                format!("{} needs `{key}`", self.title),
                format!("add `{key} = {example}`"),
            );
            return None;
        }
        self.text(key, problems)
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        bounds: std::ops::RangeInclusive<u64>,
        problems: &mut Problems,
    ) -> Option<u64> {
        let value = self.ask(key)?;
        let Some(digits) = value.get_ref().as_integer() else {
            wrong_type(key, value, "a whole number", problems);
            return None;
        };
        match u64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) if bounds.contains(&number) => Some(number),
            Ok(_) | Err(_) => {
                let what = format!("`{key}` is out of bounds");
                problems.add(
                    value.span(),
                    what,
                    format!("from {} to {}", bounds.start(), bounds.end()),
                );
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, problems: &mut Problems) -> Option<Found<bool>> {
        let value = self.ask(key)?;
        match value.get_ref().as_bool() {
            Some(flag) => Some(Found {
                value: flag,
                span: value.span(),
            }),
            None => {
                wrong_type(key, value, "true or false", problems);
                None
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str, problems: &mut Problems) -> Vec<Found<&'a str>> {
        let Some(value) = self.ask(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            wrong_type(key, value, "a list of texts: [\"…\", \"…\"]", problems);
            return Vec::new();
        };
        if list.is_empty() {
            problems.add(
                value.span(),
                format!("`{key}` is an empty list"),
                "put something in, or remove the key",
            );
        }
        let mut texts = Vec::new();
        for item in list.iter() {
            match item.get_ref().as_str() {
                Some(text) => texts.push(Found {
                    value: text,
                    span: item.span(),
                }),
                None => wrong_type(key, item, "a text in quotes", problems),
            }
        }
        texts
    }

    /// Two whole numbers within bounds: `[first, last]`.
    pub(super) fn pair(
        &mut self,
        key: &'static str,
        bounds: std::ops::RangeInclusive<u16>,
        problems: &mut Problems,
    ) -> Option<(u16, u16)> {
        let value = self.ask(key)?;
        let number = |item: &Spanned<DeValue<'_>>| {
            let digits = item.get_ref().as_integer()?;
            let number = u16::from_str_radix(digits.as_str(), digits.radix()).ok()?;
            Some(number).filter(|number| bounds.contains(number))
        };
        let list: Vec<_> = value.get_ref().as_array().into_iter().flatten().map(number).collect();
        if let [Some(first), Some(last)] = list.as_slice() {
            return Some((*first, *last));
        }
        let (least, most) = (bounds.start(), bounds.end());
        problems.add(
            value.span(),
            format!("`{key}` is no pair of numbers"),
            format!("write [first, last], both from {least} to {most}"),
        );
        None
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[Choice<T>],
        problems: &mut Problems,
    ) -> Option<T> {
        let given = self.text(key, problems)?;
        match words.iter().find(|(word, _)| *word == given.value) {
            Some((_, Ok(meaning))) => Some(*meaning),
            Some((word, Err(why))) => {
                problems.add(given.span, format!("`{key} = \"{word}\"` is not in this version"), *why);
                None
            }
            None => {
                let good: Vec<&str> = words
                    .iter()
                    .filter(|(_, meaning)| meaning.is_ok())
                    .map(|(word, _)| *word)
                    .collect();
                let hint = match nearest(given.value, &good) {
                    Some(word) => format!("did you mean \"{word}\"?"),
                    None => format!("one of: {}", good.join(", ")),
                };
                problems.add(
                    given.span,
                    format!("`{key}` cannot be \"{}\"", given.value.escape_debug()),
                    hint,
                );
                None
            }
        }
    }

    /// Every table under a key written as `[[key]]`.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        title: &'static str,
        problems: &mut Problems,
    ) -> Vec<Fields<'a>> {
        let Some(value) = self.ask(key) else { return Vec::new() };
        let Some(list) = value.get_ref().as_array() else {
            let hint = format!("write {title} with two brackets: there may be several");
            problems.add(value.span(), format!("`{key}` is a list of tables"), hint);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in list.iter() {
            match item.get_ref().as_table() {
                Some(table) => tables.push(Fields::of(title, item.span(), table)),
                None => wrong_type(key, item, "a table", problems),
            }
        }
        tables
    }

    /// The table under a key written as `[key]`.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        title: &'static str,
        problems: &mut Problems,
    ) -> Option<Fields<'a>> {
        let value = self.ask(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(Fields::of(title, value.span(), table)),
            None if value.get_ref().is_array() => {
                problems.add(
                    value.span(),
                    format!("there is only one {title}"),
                    format!("write {title} with one bracket, once"),
                );
                None
            }
            None => {
                wrong_type(key, value, "a table", problems);
                None
            }
        }
    }

    /// A key that exists elsewhere, or will: refused with what to do.
    pub(super) fn refuse(&mut self, key: &'static str, what: &str, hint: &str, problems: &mut Problems) {
        if self.ask(key).is_some() {
            problems.add(self.key_span(key), what, hint);
        }
    }

    /// Names every key that nobody asked for.
    pub(super) fn finish(self, problems: &mut Problems) {
        for (key, _) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let hint = match nearest(name, &self.asked) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            problems.add(
                key.span(),
                format!("unknown key `{}` in {}", name.escape_debug(), self.title),
                hint,
            );
        }
    }
}

fn wrong_type(key: &str, value: &Spanned<DeValue<'_>>, wanted: &str, problems: &mut Problems) {
    problems.add(
        value.span(),
        format!("`{key}` is {}", article(value.get_ref().type_str())),
        format!("it must be {wanted}"),
    );
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
