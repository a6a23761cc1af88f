//! What is wrong with a configuration, as a person wants to read it: place, line, cause, hint.

use std::fmt;
use std::ops::Range;

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// How many characters of the line are meant; at least 1.
    pub width: usize,
    /// The line's text, without its end.
    pub text: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Everything that is wrong with one configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    name: String,
    problems: Vec<Problem>,
}

impl Report {
    /// What is wrong, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            let number = problem.line.to_string();
            let margin = " ".repeat(number.len());
            writeln!(f, "error: {}", problem.what)?;
            writeln!(f, "{margin}--> {}:{}:{}", self.name, problem.line, problem.column)?;
            writeln!(f, "{margin} |")?;
            writeln!(f, "{number} | {}", problem.text)?;
            let lead = " ".repeat(problem.column - 1);
            writeln!(f, "{margin} | {lead}{}", "^".repeat(problem.width))?;
            if let Some(hint) = &problem.hint {
                writeln!(f, "{margin} = hint: {hint}")?;
            }
            writeln!(f)?;
        }
        match self.problems.len() {
            1 => write!(f, "1 error in {}; nothing was started", self.name),
            many => write!(f, "{many} errors in {}; nothing was started", self.name),
        }
    }
}

impl std::error::Error for Report {}

/// Collects problems while the file is read, so that all of them are told at once.
pub(super) struct Problems<'a> {
    text: &'a str,
    found: Vec<(usize, Problem)>,
}

impl<'a> Problems<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Problems {
            text,
            found: Vec::new(),
        }
    }

    /// Notes a problem at these bytes of the text.
    pub(super) fn add(&mut self, span: Range<usize>, what: impl Into<String>, hint: impl Into<String>) {
        let hint = hint.into();
        let hint = (!hint.is_empty()).then_some(hint);
        let problem = place(self.text, &span, what.into(), hint);
        self.found.push((span.start, problem));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn report(mut self, name: &str) -> Report {
        self.found.sort_by_key(|(start, _)| *start);
        let problems = self.found.into_iter().map(|(_, problem)| problem).collect();
        Report {
            name: name.to_owned(),
            problems,
        }
    }
}

/// Turns bytes of the text into line and column.
fn place(text: &str, span: &Range<usize>, what: String, hint: Option<String>) -> Problem {
    // A span at the very end of the file belongs to its last line, not to an empty one after it.
    let last = text.trim_end().len().saturating_sub(1);
    let start = floor_boundary(text, span.start.min(last));
    let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line_text = text[begin..end].trim_end_matches('\r');
    let stop = floor_boundary(text, span.end.clamp(start, begin + line_text.len().max(start - begin)));
    Problem {
        line: text[..begin].matches('\n').count() + 1,
        column: text[begin..start].chars().count() + 1,
        width: text[start..stop].chars().count().max(1),
        text: line_text.replace('\t', " "),
        what,
        hint,
    }
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The known word that `given` was probably meant to be.
pub(super) fn nearest<'w>(given: &str, known: &[&'w str]) -> Option<&'w str> {
    let given = given.to_ascii_lowercase();
    let allowed = (given.chars().count() / 3).max(1);
    known
        .iter()
        .map(|word| (distance(&given, word), *word))
        .filter(|(d, _)| *d <= allowed)
        .min()
        .map(|(_, w)| w)
}

/// How many letters must be changed, added, dropped or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![vec![0usize; to.len() + 1]; from.len() + 1];
    for i in 0..=from.len() {
        for j in 0..=to.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
                let mut best = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_strangers_are_not() {
        let known = ["transport", "address", "advertise"];
        assert_eq!(nearest("transprot", &known), Some("transport"));
        assert_eq!(nearest("adress", &known), Some("address"));
        assert_eq!(nearest("colour", &known), None);
    }

    #[test]
    fn a_place_survives_any_span() {
        for text in ["", "\n", "ä = 1\r\nö", "a\n\n"] {
            for start in 0..=text.len() + 1 {
                for end in start..=text.len() + 2 {
                    let problem = place(text, &(start..end), String::new(), None);
                    assert!(problem.line >= 1 && problem.column >= 1 && problem.width >= 1);
                }
            }
        }
    }

    #[test]
    fn the_report_points_at_the_word() {
        let text = "[edge]\ndomian = \"x\"\n";
        let mut problems = Problems::of(text);
        problems.add(7..13, "unknown key `domian`", "did you mean `domain`?");
        let report = problems.report("edge.toml").to_string();
        assert!(report.contains(" --> edge.toml:2:1\n"), "{report}");
        assert!(report.contains("2 | domian = \"x\"\n  | ^^^^^^\n"), "{report}");
        assert!(report.contains("1 error in edge.toml"), "{report}");
    }
}
