//! Asks an application what to do: a signed request, and a document in return.

use axum::http::{Method, Request, header};
use bytes::Bytes;
use url::Url;

use super::App;
use super::sign::signature;
use super::twiml::{Play, Say, Target, Verb, parse};
use crate::engine::Event;

/// What an application wants, and where it was found: relative URLs in it go from there.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) verbs: Vec<Verb>,
    pub(super) base: Option<Url>,
}

/// Why there is no document.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct NoDocument {
    /// 11200 not fetched, 12100 not understood, 12300 of another type.
    pub(super) code: u32,
    pub(super) why: String,
}

/// A signed request; `None`: this is no URL.
pub(super) fn request(token: &str, target: &Target, form: &[(String, String)]) -> Option<Request<Bytes>> {
    let mut url = Url::parse(&target.url).ok()?;
    url.set_fragment(None);
    let is_get = target.method == Method::GET;
    if is_get && !form.is_empty() {
        url.query_pairs_mut().extend_pairs(form);
    }
    let signed = signature(token, url.as_str(), if is_get { &[] } else { form });
    let request = Request::builder()
        .method(target.method.clone())
        .uri(url.as_str())
        .header("X-Twilio-Signature", signed)
        .header(header::ACCEPT, "*/*");
    if is_get {
        return request.body(Bytes::new()).ok();
    }
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    request
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
        .body(Bytes::from(body))
        .ok()
}

impl App {
    /// Asks an absolute URL for a document. What goes wrong is told as an event.
    pub(super) async fn document(&self, target: &Target, form: &[(String, String)]) -> Result<Document, NoDocument> {
        let document = self.ask(target, form).await;
        if let Err(error) = &document {
            let to = Url::parse(&target.url).map(|url| url.origin().ascii_serialization());
            tracing::warn!(code = error.code, why = error.why, "no document for a call");
            self.edge.tell(Event::WebhookFailed {
                to: to.unwrap_or_default(),
                why: format!("{}: {}", error.code, error.why),
                tries: 1,
            });
        }
        document
    }

    async fn ask(&self, target: &Target, form: &[(String, String)]) -> Result<Document, NoDocument> {
        let failed = |why: String| NoDocument { code: 11_200, why };
        let request = request(&self.account.auth_token, target, form);
        let request = request.ok_or_else(|| failed("this is no URL".to_owned()))?;
        let answer = self
            .hooks
            .send(request)
            .await
            .map_err(|error| failed(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(failed(format!("the answer was {}", answer.status().as_u16())));
        }
        let kind = answer.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("text/xml");
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let text = || String::from_utf8_lossy(answer.body()).into_owned();
        let verbs = match kind.as_str() {
            "text/xml" | "application/xml" | "text/html" => parse(&text()).map_err(|error| NoDocument {
                code: 12_100,
                why: error.to_string(),
            })?,
            "text/plain" => vec![Verb::Say(Say {
                text: text(),
                language: None,
                times: 1,
            })],
            audio if audio.starts_with("audio/") => vec![Verb::Play(Play {
                url: target.url.clone(),
                digits: None,
                times: 1,
            })],
            other => {
                let why = format!("the answer is {}", other.chars().take(60).collect::<String>());
                return Err(NoDocument { code: 12_300, why });
            }
        };
        Ok(Document {
            verbs,
            base: Url::parse(&target.url).ok(),
        })
    }
}

/// A URL of a document, made absolute.
pub(super) fn absolute(base: Option<&Url>, target: &Target) -> Target {
    let joined = match base {
        Some(base) => base.join(&target.url).ok(),
        None => Url::parse(&target.url).ok(),
    };
    Target {
        url: joined.map_or_else(|| target.url.clone(), String::from),
        method: target.method.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Vec<(String, String)> {
        vec![("To".into(), "+1 5".into()), ("From".into(), "client:a".into())]
    }

    #[test]
    fn a_get_has_its_parameters_in_the_url_that_is_signed() {
        let target = |method| Target {
            url: "http://a.test/v?x=1#here".into(),
            method,
        };
        let get = request("t", &target(Method::GET), &form()).unwrap();
        assert_eq!(get.uri().to_string(), "http://a.test/v?x=1&To=%2B1+5&From=client%3Aa");
        let signed = signature("t", &get.uri().to_string(), &[]);
        assert_eq!(get.headers()["X-Twilio-Signature"], signed.as_str());
        let post = request("t", &target(Method::POST), &form()).unwrap();
        assert_eq!(post.uri().to_string(), "http://a.test/v?x=1");
        assert_eq!(&post.body()[..], b"To=%2B1+5&From=client%3Aa");
        assert_eq!(
            post.headers()["X-Twilio-Signature"],
            signature("t", "http://a.test/v?x=1", &form()).as_str()
        );
    }

    #[test]
    fn relative_urls_go_from_the_document() {
        let base = Url::parse("http://a.test/conference/CA1/connect/agent1?x=1").unwrap();
        let absolute = |url: &str| {
            let target = Target {
                url: url.into(),
                method: Method::POST,
            };
            super::absolute(Some(&base), &target).url
        };
        assert_eq!(absolute("/conference/wait"), "http://a.test/conference/wait");
        assert_eq!(absolute("wait"), "http://a.test/conference/CA1/connect/wait");
        assert_eq!(absolute("https://b.test/w"), "https://b.test/w");
        assert_eq!(absolute(""), "http://a.test/conference/CA1/connect/agent1?x=1");
    }
}
