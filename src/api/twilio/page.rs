//! Pages of a list, with relative links (2010-04-01) or absolute ones (TaskRouter).

use serde_json::{Map, Value, json};

use super::error::Fault;
use super::form::Form;

const SIZE: u64 = 50;
const MOST: u64 = 1_000;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    number: usize,
    size: usize,
}

impl Page {
    pub(super) fn of(form: &Form) -> Result<Page, Fault> {
        let size = form.number("PageSize", 1..=MOST)?.unwrap_or(SIZE);
        let number = form.number("Page", 0..=1_000_000)?.unwrap_or(0);
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Page {
            number: whole(number),
            size: whole(size),
        })
    }

    /// What is on it, and whether more comes.
    fn cut<T>(self, all: impl Iterator<Item = T>) -> (Vec<T>, bool) {
        let mut rest = all.skip(self.number.saturating_mul(self.size));
        let items: Vec<T> = rest.by_ref().take(self.size).collect();
        (items, rest.next().is_some())
    }

    fn link(self, path: &str, filter: &Form, number: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let others = filter
            .0
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "Page" | "PageSize" | "PageToken"));
        query.extend_pairs(others);
        query.append_pair("PageSize", &self.size.to_string());
        query.append_pair("Page", &number.to_string());
        format!("{path}?{}", query.finish())
    }

    /// `{page, page_size, start, end, uri, …, <key>: […]}`.
    pub(super) fn relative(self, key: &str, path: &str, filter: &Form, all: impl Iterator<Item = Value>) -> Value {
        let (items, more) = self.cut(all);
        let start = self.number.saturating_mul(self.size);
        let end = start + items.len().saturating_sub(1);
        let link = |number| Value::from(self.link(path, filter, number));
        let mut body = Map::new();
        body.insert("page".into(), json!(self.number));
        body.insert("page_size".into(), json!(self.size));
        body.insert("start".into(), json!(start));
        body.insert("end".into(), json!(end));
        body.insert("uri".into(), link(self.number));
        body.insert("first_page_uri".into(), link(0));
        let next = if more { link(self.number + 1) } else { Value::Null };
        body.insert("next_page_uri".into(), next);
        let previous = self.number.checked_sub(1).map_or(Value::Null, link);
        body.insert("previous_page_uri".into(), previous);
        body.insert(key.into(), Value::Array(items));
        Value::Object(body)
    }

    /// `{<key>: […], meta: {…}}`, `base` being our own address as clients see it.
    pub(super) fn absolute(
        self,
        key: &str,
        base: &str,
        path: &str,
        filter: &Form,
        all: impl Iterator<Item = Value>,
    ) -> Value {
        let (items, more) = self.cut(all);
        let link = |number| Value::from(format!("{base}{}", self.link(path, filter, number)));
        let meta = json!({
            "key": key, "page": self.number, "page_size": self.size, "first_page_url": link(0), "url": link(self.number),
            "next_page_url": if more { link(self.number + 1) } else { Value::Null },
            "previous_page_url": self.number.checked_sub(1).map_or(Value::Null, link),
        });
        let mut body = Map::new();
        body.insert(key.into(), Value::Array(items));
        body.insert("meta".into(), meta);
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str, all: u64) -> Value {
        let form = Form::parse(query.as_bytes());
        Page::of(&form)
            .unwrap()
            .relative("calls", "/Calls.json", &form, (0..all).map(Value::from))
    }

    #[test]
    fn a_list_is_walked_by_its_links_and_keeps_its_filter() {
        let first = page("Status=busy&PageSize=2", 5);
        assert_eq!(first["calls"], json!([0, 1]));
        assert_eq!((&first["start"], &first["end"]), (&json!(0), &json!(1)));
        assert_eq!(first["previous_page_uri"], Value::Null);
        let mut seen = Vec::new();
        let mut next = first;
        loop {
            seen.extend(next["calls"].as_array().unwrap().clone());
            let Some(link) = next["next_page_uri"].as_str() else {
                break;
            };
            assert!(link.starts_with("/Calls.json?Status=busy&"), "{link}");
            next = page(link.split_once('?').unwrap().1, 5);
        }
        assert_eq!(seen, (0..5).map(Value::from).collect::<Vec<_>>());
        assert_eq!(next["previous_page_uri"], "/Calls.json?Status=busy&PageSize=2&Page=1");
    }

    #[test]
    fn an_empty_list_has_a_page_and_bounds_are_kept() {
        let empty = page("", 0);
        assert_eq!(
            (&empty["calls"], &empty["end"], &empty["page_size"]),
            (&json!([]), &json!(0), &json!(50))
        );
        for bad in ["PageSize=0", "PageSize=1001", "Page=-1", "PageSize=x"] {
            assert_eq!(
                Page::of(&Form::parse(bad.as_bytes())).unwrap_err().code,
                20_001,
                "{bad}"
            );
        }
    }

    #[test]
    fn task_router_links_are_absolute() {
        let form = Form::parse(b"PageSize=1");
        let body = Page::of(&form)
            .unwrap()
            .absolute("tasks", "http://e.test", "/v1/T", &form, (0..2).map(Value::from));
        assert_eq!(body["tasks"], json!([0]));
        assert_eq!(body["meta"]["next_page_url"], "http://e.test/v1/T?PageSize=1&Page=1");
        assert_eq!(body["meta"]["key"], "tasks");
    }
}
