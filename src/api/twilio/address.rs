//! Between this API's addresses (`+1555…`, `client:name`, `sip:…`) and SIP's.

use super::error::Fault;
use crate::sip::Uri;

/// Where a call to this address goes; `None`: it is no address.
pub(super) fn uri(address: &str, domain: &str) -> Option<Uri> {
    let text = match address.split_once(':') {
        Some(("sip" | "sips", _)) => address.to_owned(),
        Some(("client", name)) => {
            // Parameters that an application puts behind the name are for the browser, and not of the address.
            let name = name.split('?').next().unwrap_or_default();
            format!("sip:{}@{domain}", escaped(name)?)
        }
        Some(_) => return None,
        None => {
            let digits: String = address
                .chars()
                .filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.'))
                .collect();
            let bare = digits.strip_prefix('+').unwrap_or(&digits);
            let good = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#');
            if bare.is_empty() || !bare.chars().all(good) {
                return None;
            }
            format!("sip:{}@{domain}", digits.replace('#', "%23"))
        }
    };
    text.parse().ok()
}

fn escaped(name: &str) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,".contains(c);
    (!name.is_empty() && name.chars().all(good)).then(|| name.to_owned())
}

/// What a client gave as To.
pub(super) fn to(address: &str, domain: &str) -> Result<Uri, Fault> {
    let wrong = || {
        Fault::new(
            400,
            21_211,
            format!("The 'To' number {address} is not a valid phone number."),
        )
    };
    uri(address, domain).ok_or_else(wrong)
}

/// How an application is told of an address of SIP.
pub(super) fn shown(uri: &str, domain: &str) -> String {
    let address = uri.trim().trim_start_matches('<').trim_end_matches('>');
    let Some(rest) = address.strip_prefix("sip:").or_else(|| address.strip_prefix("sips:")) else {
        return address.strip_prefix("tel:").unwrap_or(address).to_owned();
    };
    let Some((user, host)) = rest.split_once('@') else {
        return address.to_owned();
    };
    let user = user.replace("%23", "#");
    let bare = user.strip_prefix('+').unwrap_or(&user);
    let host = host.split([';', ':', '?']).next().unwrap_or_default();
    if !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit()) {
        user
    } else if host.eq_ignore_ascii_case(domain) {
        format!("client:{user}")
    } else {
        address.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_there_and_back() {
        for (address, sip) in [
            ("+15550001", "sip:+15550001@e.test"),
            ("client:agent1", "sip:agent1@e.test"),
            ("client:agent1?a=b", "sip:agent1@e.test"),
            ("sip:bob@other.test;transport=tcp", "sip:bob@other.test;transport=tcp"),
            ("(555) 00-01", "sip:5550001@e.test"),
        ] {
            assert_eq!(uri(address, "e.test").unwrap().to_string(), sip);
        }
        for bad in [
            "",
            "client:",
            "client:a b",
            "mailto:x@y",
            "+",
            "sip:",
            "+1;x=y",
            "client:a@b",
            "agent1",
            "not an address",
        ] {
            assert!(uri(bad, "e.test").is_none(), "{bad}");
        }
        for (sip, address) in [
            ("sip:+15550001@carrier.test:5060;user=phone", "+15550001"),
            ("sip:agent1@e.test", "client:agent1"),
            ("sip:bob@other.test", "sip:bob@other.test"),
            ("tel:+1555", "+1555"),
        ] {
            assert_eq!(shown(sip, "e.test"), address);
        }
    }
}
