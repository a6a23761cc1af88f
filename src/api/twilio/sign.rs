//! `X-Twilio-Signature`: how an application knows that a request is ours.
//!
//! base64(HMAC-SHA1(auth token, URL + sorted names, each with its sorted values)); a GET has its parameters in the URL.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// The signature of a request to `url`, which is whole, with its query; `form` are the parameters in the body.
pub(super) fn signature(token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = form.iter().collect();
    sorted.sort();
    // Both validators of the SDK count a value that comes twice under one name once.
    sorted.dedup();
    let mut text = url.to_owned();
    for (name, value) in sorted {
        text.push_str(name);
        text.push_str(value);
    }
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(token.as_bytes()) else {
        return String::new(); // HMAC takes keys of any length
    };
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(pair).collect()
    }

    /// The vector that the vendor publishes with its rule.
    #[test]
    fn the_published_vector_comes_out() {
        let sent = form(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ]);
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(signature("12345", url, &sent), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }

    #[test]
    fn order_and_repetition_do_not_matter_but_values_do() {
        let url = "https://a.test/";
        let one = signature("t", url, &form(&[("b", "2"), ("a", "1"), ("a", "0")]));
        assert_eq!(
            one,
            signature("t", url, &form(&[("a", "0"), ("a", "1"), ("b", "2"), ("b", "2")]))
        );
        assert_ne!(one, signature("t", url, &form(&[("a", "0"), ("a", "1"), ("b", "3")])));
    }
}
