//! Reads JSON bodies from strangers: bounded in size and depth, with the field of every mistake.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::Problem;

/// The most octets that a body may have.
pub(super) const LIMIT: usize = 1024 * 1024;
/// The deepest nesting of arrays and objects.
pub(in crate::api) const DEPTH: usize = 32;

/// The octets of a JSON body, read and bounded but not understood.
pub(super) async fn octets(request: Request) -> Result<Bytes, Problem> {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .map(|kind| kind.to_str().unwrap_or("?").to_owned());
    let octets = read(request.into_body()).await?;
    let is_json = kind.as_deref().is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    });
    if !octets.is_empty() && !is_json {
        return Err(Problem::not_json(kind.as_deref().unwrap_or("missing")));
    }
    Ok(octets)
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, LIMIT).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            if error.to_string().contains("length limit exceeded") {
                return Problem::too_large(LIMIT);
            }
            cause = error.source();
        }
        Problem::malformed("the body ended before it was complete")
    })
}

/// What the octets mean.
pub(super) fn json<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Problem> {
    if octets.is_empty() {
        return Err(Problem::malformed("there is no body").hint("send a JSON object"));
    }
    if depth(octets) > DEPTH {
        return Err(Problem::malformed(format!(
            "the JSON is nested deeper than {DEPTH} levels"
        )));
    }
    let mut reader = serde_json::Deserializer::from_slice(octets);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        mistake(Some(path), &error.into_inner())
    })?;
    reader.end().map_err(|error| mistake(None, &error))?;
    Ok(value)
}

fn mistake(path: Option<String>, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    match error.classify() {
        Category::Data => {
            let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
            let field = path
                .filter(|path| path != ".")
                .or_else(|| quoted(what))
                .unwrap_or_else(|| "body".to_owned());
            Problem::invalid(field, what)
        }
        Category::Io | Category::Syntax | Category::Eof => {
            let problem = Problem::malformed(text);
            match path.filter(|path| path != ".") {
                Some(path) => problem.field(path),
                None => problem,
            }
        }
    }
}

/// The field that serde names in backquotes when it has no path to it: a missing one.
fn quoted(what: &str) -> Option<String> {
    let name = what
        .strip_prefix("missing field `")
        .or_else(|| what.strip_prefix("unknown field `"))?;
    name.split('`').next().map(str::to_owned)
}

/// How deep arrays and objects are nested; what stands in texts does not count.
pub(in crate::api) fn depth(octets: &[u8]) -> usize {
    let (mut now, mut most, mut text, mut escaped) = (0usize, 0usize, false, false);
    for octet in octets {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'[' | b'{' if !text => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' if !text => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        assert_eq!(depth(br#"{"a":[1,[2]],"b":"[[[[\"[["}"#), 3);
        assert_eq!(depth(b"]]]["), 1);
    }

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "only its reading matters")]
        who: Who,
    }

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Who {
        #[expect(dead_code, reason = "only its reading matters")]
        age: u8,
    }

    #[test]
    fn every_mistake_has_its_field_and_status() {
        let told = |text: &str| {
            let problem = json::<Order>(text.as_bytes()).unwrap_err();
            (problem.status, problem.field.unwrap_or_default())
        };
        assert_eq!(told(r#"{"who":{"age":"x"}}"#), (422, "who.age".to_owned()));
        assert_eq!(told(r#"{"who":{"age":1,"ago":2}}"#), (422, "who.ago".to_owned()));
        assert_eq!(told("{}"), (422, "who".to_owned()));
        assert_eq!(told("[]").0, 422);
        assert_eq!(told(r#"{"who":"#).0, 400);
        assert_eq!(told("").0, 400);
        assert_eq!(told(r#"{"who":{"age":1}} x"#).0, 400);
        assert_eq!(told(&"[".repeat(40)).0, 400);
    }
}
