//! The expressions by which queues choose workers and workflows choose queues.
//!
//! `==  !=  <  <=  >  >=  HAS  IN  NOT IN  CONTAINS  AND  OR  NOT  ( )`, numbers, texts in either quotes, lists in brackets, and
//! names of attributes with dots. An attribute that is not there is equal to nothing. A text that is no expression fits
//! nobody, and is refused when a client gives it.

use serde_json::{Map, Value};

/// How deep brackets may lie in each other.
const DEPTH: usize = 32;
/// Of a text.
const LONGEST: usize = 4_096;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(f64),
    Sign(&'static str),
}

/// Whether `attributes` fit; `None`: this is no expression.
pub(in crate::api) fn fits(expression: &str, attributes: &Map<String, Value>) -> Option<bool> {
    if expression.trim().is_empty() {
        return Some(true);
    }
    let tokens = tokens(expression)?;
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        depth: 0,
        attributes,
    };
    let fits = reader.any()?;
    (reader.at == tokens.len()).then_some(fits)
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    if text.len() > LONGEST {
        return None;
    }
    const SIGNS: [&str; 13] = ["==", "!=", "<=", ">=", "<", ">", "=", "(", ")", "[", "]", ",", "&&"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = rest.get(sign.len()..)?;
        } else if matches!(first, '\'' | '"') {
            let end = rest.get(1..)?.find(first)?;
            tokens.push(Token::Text(rest.get(1..=end)?.to_owned()));
            rest = rest.get(end + 2..)?;
        } else {
            let good = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
            let end = rest.find(|c| !good(c)).unwrap_or(rest.len());
            let word = rest.get(..end).filter(|word| !word.is_empty())?;
            tokens.push(match word.parse::<f64>() {
                Ok(number) => Token::Number(number),
                Err(_) => Token::Word(word.to_owned()),
            });
            rest = rest.get(end..)?;
        }
        rest = rest.trim_start();
    }
    Some(tokens)
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    attributes: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(own)) if own.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(own)) if *own == sign);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Option<bool> {
        let mut fits = self.all()?;
        while self.keyword("OR") {
            fits |= self.all()?;
        }
        Some(fits)
    }

    fn all(&mut self) -> Option<bool> {
        let mut fits = self.one()?;
        while self.keyword("AND") || self.sign("&&") {
            fits &= self.one()?;
        }
        Some(fits)
    }

    fn one(&mut self) -> Option<bool> {
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        let fits = if self.keyword("NOT") {
            self.one().map(|fits| !fits)
        } else if self.sign("(") {
            let inner = self.any();
            if self.sign(")") { inner } else { None }
        } else {
            self.comparison()
        };
        self.depth -= 1;
        fits
    }

    fn comparison(&mut self) -> Option<bool> {
        let left = self.value()?;
        if self.keyword("HAS") || self.keyword("CONTAINS") {
            let right = self.value()?;
            return Some(holds(&left, &right));
        }
        if self.keyword("IN") {
            let right = self.value()?;
            return Some(holds(&right, &left));
        }
        let before = self.at;
        if self.keyword("NOT") {
            if self.keyword("IN") {
                let right = self.value()?;
                return Some(!holds(&right, &left));
            }
            self.at = before;
        }
        let Some(Token::Sign(sign)) = self.peek().cloned() else {
            return Some(left == Value::Bool(true));
        };
        if !matches!(sign, "==" | "=" | "!=" | "<" | "<=" | ">" | ">=") {
            return Some(left == Value::Bool(true));
        }
        self.at += 1;
        let right = self.value()?;
        let order = match (left.as_f64(), right.as_f64(), left.as_str(), right.as_str()) {
            (Some(left), Some(right), _, _) => left.partial_cmp(&right),
            (_, _, Some(left), Some(right)) => Some(left.cmp(right)),
            (_, _, _, _) => None,
        };
        let same = left == right || order.is_some_and(|order| order.is_eq());
        Some(match sign {
            "==" | "=" => same,
            "!=" => !same,
            "<" => order.is_some_and(|order| order.is_lt()),
            "<=" => order.is_some_and(|order| order.is_le()),
            ">" => order.is_some_and(|order| order.is_gt()),
            _ => order.is_some_and(|order| order.is_ge()),
        })
    }

    fn value(&mut self) -> Option<Value> {
        if self.sign("[") {
            let mut list = Vec::new();
            while !self.sign("]") {
                list.push(self.value()?);
                self.sign(",");
            }
            return Some(Value::Array(list));
        }
        let token = self.peek()?.clone();
        self.at += 1;
        Some(match token {
            Token::Text(text) => Value::String(text),
            Token::Number(number) => serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Value::Bool(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Value::Bool(false),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => Value::Null,
            Token::Word(word) => {
                // A workflow writes `task.` before what its task says.
                let path = word
                    .strip_prefix("task.")
                    .or_else(|| word.strip_prefix("worker."))
                    .unwrap_or(&word);
                let mut names = path.split('.');
                let first = self.attributes.get(names.next().unwrap_or_default());
                let found = names.fold(first, |value, name| value.and_then(|value| value.get(name)));
                found.cloned().unwrap_or(Value::Null)
            }
            Token::Sign(_) => return None,
        })
    }
}

/// A list that has it, or a text that contains it.
fn holds(all: &Value, one: &Value) -> bool {
    let same = |other: &Value| other == one || (other.is_number() && other.as_f64() == one.as_f64());
    match (all, one) {
        (Value::Array(list), _) => list.iter().any(same),
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (_, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged() {
        let attributes = serde_json::json!({
            "skills": ["support", "sales"], "languages": ["en"], "level": 5, "name": "alice", "team": {"lead": true}, "free": true,
        });
        let Value::Object(attributes) = attributes else {
            panic!()
        };
        for (expression, expect) in [
            ("skills HAS 'support'", Some(true)),
            ("skills HAS \"billing\"", Some(false)),
            ("'sales' IN skills", Some(true)),
            ("'billing' NOT IN skills", Some(true)),
            ("level > 4 AND level <= 5", Some(true)),
            ("level IN [1, 5]", Some(true)),
            ("name == 'alice' AND (level < 5 OR languages HAS 'en')", Some(true)),
            ("NOT (name = 'bob')", Some(true)),
            ("team.lead == true", Some(true)),
            ("task.name CONTAINS 'lic'", Some(true)),
            ("missing == 'x'", Some(false)),
            ("missing != 'x'", Some(true)),
            ("free", Some(true)),
            ("1==1", Some(true)),
            ("", Some(true)),
            ("skills HAS", None),
            ("name == 'alice", None),
            ("(name == 'alice'", None),
            ("name == 'a' name", None),
            ("\u{1}", None),
        ] {
            assert_eq!(fits(expression, &attributes), expect, "{expression}");
        }
        assert_eq!(fits(&"(".repeat(5_000), &attributes), None);
        assert_eq!(fits(&"NOT ".repeat(1_000), &attributes), None);
    }
}
