//! What `index.csv` says of each message of RFC 4475 and RFC 5118.

use std::collections::HashMap;
use std::path::PathBuf;

/// A message's row, by column name.
pub(crate) type Row = HashMap<String, String>;

/// Where the messages of a set lie.
pub(crate) fn folder(set: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(set)
}

/// The rows of a set's `index.csv`, whose fields may be quoted.
pub(crate) fn rows(set: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(folder(set).join("index.csv")).unwrap();
    let mut lines = text.lines().map(fields);
    let names = lines.next().unwrap();
    lines
        .map(|values| names.iter().cloned().zip(values).collect())
        .collect()
}

fn fields(line: &str) -> Vec<String> {
    let mut list = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => list.push(String::new()),
            _ => list.last_mut().unwrap().push(c),
        }
    }
    list
}

/// Every three-digit number of a column.
pub(crate) fn codes(text: &str) -> Vec<u16> {
    let words = text.split(|c: char| !c.is_ascii_digit()).filter(|word| word.len() == 3);
    words.map(|word| word.parse().unwrap()).collect()
}
