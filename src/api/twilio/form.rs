//! Form bodies, query strings, and what may stand in them.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use url::Url;

use super::error::Fault;
use super::sid::Sid;

/// Of a body, in octets: the longest that a client has to say is a TwiML of 4,000 characters, escaped.
const LONGEST: usize = 64 * 1024;

/// Names with their values, in the order in which they came; a list is a name that comes several times.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(pub(super) Vec<(String, String)>);

impl Form {
    pub(super) fn parse(octets: &[u8]) -> Form {
        Form(form_urlencoded::parse(octets).into_owned().collect())
    }

    /// The last value under this name; `None`: it is not there, or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// The last value under this name, even an empty one.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        let same = self.0.iter().rev().find(|(key, _)| key == name);
        same.map(|(_, value)| value.as_str())
    }

    /// Every word under this name; the SDKs repeat the name, old ones put blanks between the words.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(key, _)| key == name);
        let words = values.flat_map(|(_, value)| value.split([' ', ',']));
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(Fault::parameter(name, "it is true or false")),
        }
    }

    pub(super) fn number(&self, name: &str, bounds: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.parse::<u64>() {
            Ok(number) if bounds.contains(&number) => Ok(Some(number)),
            Ok(_) | Err(_) => {
                let why = format!("it is a number from {} to {}", bounds.start(), bounds.end());
                Err(Fault::parameter(name, &why))
            }
        }
    }

    /// An absolute http or https URL.
    pub(super) fn url(&self, name: &str) -> Result<Option<String>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let good = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        match Url::parse(value) {
            Ok(url) if good(&url) => Ok(Some(value.to_owned())),
            Ok(_) | Err(_) => Err(Fault::new(400, 21_205, format!("{name} is not a valid URL: {value}"))),
        }
    }

    /// GET or POST.
    pub(super) fn method(&self, name: &str) -> Result<Option<Method>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(value) if value.eq_ignore_ascii_case("GET") => Ok(Some(Method::GET)),
            Some(value) if value.eq_ignore_ascii_case("POST") => Ok(Some(Method::POST)),
            Some(_) => Err(Fault::parameter(name, "it is GET or POST")),
        }
    }

    pub(super) fn sid(&self, kind: &str, name: &str) -> Result<Option<Sid>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let read = Sid::read(kind, value);
        let why = || Fault::parameter(name, &format!("it is {kind} and 32 hexadecimal digits"));
        read.map(Some).ok_or_else(why)
    }
}

/// The query of a request and then its body: a client may say what it wants in either.
impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &S) -> Result<Form, Fault> {
        let mut form = Form::parse(request.uri().query().unwrap_or_default().as_bytes());
        let kind = request.headers().get(header::CONTENT_TYPE);
        let is_form = kind.is_none_or(|kind| {
            let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        let too_long = |_| {
            Fault::new(
                413,
                20_001,
                format!("The body is longer than {LONGEST} octets, or was cut off"),
            )
        };
        let octets = to_bytes(request.into_body(), LONGEST).await.map_err(too_long)?;
        if !octets.is_empty() {
            if !is_form {
                let what = "The body must be application/x-www-form-urlencoded";
                return Err(Fault::new(415, 20_415, what));
            }
            form.0.extend(Form::parse(&octets).0);
        }
        Ok(form)
    }
}
