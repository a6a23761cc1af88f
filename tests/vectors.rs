//! The torture messages of RFC 4475 and RFC 5118 at the parser: `index.csv` says what is expected of each, so that
//! none can be left out silently.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its input fails")]

#[path = "vectors/index.rs"]
mod index;

use bytes::Bytes;
use index::{codes, folder, rows};
use warmline::sip::{Forward, HeaderName, Message, Method, NameAddr, ParseError, Scheme, Uri};

fn octets(set: &str, file: &str) -> Bytes {
    Bytes::from(std::fs::read(folder(set).join(file)).unwrap())
}

fn vector(file: &str) -> Bytes {
    octets("rfc4475", file)
}

fn parsed(file: &str) -> Message {
    Message::parse(vector(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// What the edge does before it looks at its own capabilities.
fn outcome(bytes: &Bytes) -> Result<Message, ParseError> {
    let message = Message::parse(bytes.clone())?;
    message.validate()?;
    Ok(message)
}

#[test]
fn all_49_messages_of_rfc_4475_meet_their_verdict() {
    let rows = rows("rfc4475");
    assert_eq!(rows.len(), 49);
    let mut refused = 0;
    for row in &rows {
        let file = row["file"].as_str();
        let bytes = vector(file);
        assert_eq!(bytes.len().to_string(), row["bytes"], "{file}");
        let uas = if row["expected_uas_registrar"] == "same" {
            "expected_proxy"
        } else {
            "expected_uas_registrar"
        };
        let allowed = codes(&row[uas]);
        let verdict = row["parser_verdict"].as_str();
        let is_request = row["kind"] == "request";
        match outcome(&bytes) {
            Ok(message) => {
                assert!(verdict.starts_with("accept"), "{file}: accepted, but: {verdict}");
                assert_eq!(message.is_request(), is_request, "{file}");
            }
            Err(error) => {
                refused += 1;
                if verdict.starts_with("accept") {
                    // Syntax is fine: the status says what is wrong with the meaning.
                    assert!(matches!(error.status(), 400 | 416), "{file}: {error}");
                    assert!(Message::parse(bytes.clone()).is_ok(), "{file}: {error}");
                    assert!(
                        allowed.contains(&error.status()),
                        "{file}: {} not in {allowed:?}",
                        error.status()
                    );
                } else if is_request {
                    assert!(
                        allowed.contains(&error.status()),
                        "{file}: {} not in {allowed:?}",
                        error.status()
                    );
                }
                // A response is never answered; a request with a Via is.
                let answer = Message::salvage(&bytes);
                assert_eq!(answer.is_some(), is_request, "{file}");
                if let Some(draft) = answer {
                    assert_eq!(draft.status(), Some(error.status()), "{file}");
                    let text = String::from_utf8_lossy(&draft.print()).into_owned();
                    assert!(
                        text.starts_with(&format!("SIP/2.0 {} {}\r\n", error.status(), error.reason())),
                        "{text}"
                    );
                }
            }
        }
    }
    assert_eq!(refused, 24, "messages refused");
}

/// What each message must not lead to, where the parser can see it; one arm for each of the 49.
#[test]
fn no_message_of_rfc_4475_does_what_it_must_not() {
    for row in rows("rfc4475") {
        let file = row["file"].as_str();
        match file {
            "wsinv.dat" => wsinv(),
            "intmeth.dat" => intmeth(),
            "esc01.dat" => esc01(),
            "escnull.dat" => escnull(),
            "esc02.dat" => {
                let message = parsed(file);
                assert_eq!(message.method().as_str(), "RE%47IST%45R");
                assert_ne!(*message.method(), Method::Register);
                assert_eq!(message.headers(HeaderName::Contact).count(), 2);
                assert_eq!(
                    message.header_named("C%6Fntact"),
                    Some(&b"<sip:alias2@host2.example.com>"[..])
                );
            }
            "lwsdisp.dat" => assert_eq!(parsed(file).from().unwrap().display.as_deref(), Some("caller")),
            "longreq.dat" => longreq(),
            "dblreq.dat" => {
                let message = parsed(file);
                assert_eq!(*message.method(), Method::Register);
                let all = vector(file);
                assert_eq!(message.bytes()[..], all[..all.len() - 450]);
                assert_eq!(Forward::new(&message).print(), message.bytes());
            }
            "semiuri.dat" => {
                let uri = Uri::parse(parsed(file).request_uri().unwrap()).unwrap();
                assert_eq!(uri.user(), Some("user;par=u%40example.net"));
                assert_eq!(uri.user_unescaped().as_deref(), Some("user;par=u@example.net"));
                assert_eq!(uri.host(), "example.com");
                assert_eq!(uri.param("par"), None);
            }
            "transports.dat" => {
                let message = parsed(file);
                let transports: Vec<&str> = vias(&message).map(|via| via.transport).collect();
                assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
            }
            "mpart01.dat" => {
                let message = parsed(file);
                let all = vector(file);
                assert_eq!(message.body()[..], all[all.len() - 553..]);
                assert_eq!(Forward::new(&message).max_forwards(9).print()[..].len(), all.len() - 1);
            }
            "unreason.dat" => {
                let message = parsed(file);
                assert_eq!(message.status(), Some(200));
                assert_eq!(
                    std::str::from_utf8(message.reason_phrase().unwrap()).unwrap(),
                    "= 2**3 * 5**2 но сто девяносто девять - простое"
                );
            }
            "noreason.dat" => {
                assert_eq!(parsed(file).status(), Some(100));
                assert_eq!(parsed(file).reason_phrase(), Some(&b""[..]));
            }
            // A refused message is never forwarded, stored or matched: there is no Message to do it with.
            "clerr.dat" | "ncl.dat" | "scalar02.dat" | "scalarlg.dat" | "quotbal.dat" | "ltgtruri.dat"
            | "lwsruri.dat" | "lwsstart.dat" | "trws.dat" | "baddn.dat" | "badvers.dat" | "bigcode.dat"
            | "insuf.dat" | "multi01.dat" | "mcl01.dat" => assert!(Message::parse(vector(file)).is_err(), "{file}"),
            "badinv01.dat" | "escruri.dat" | "regbadct.dat" | "badaspec.dat" | "mismatch01.dat" | "mismatch02.dat" => {
                assert!(parsed(file).validate().is_err(), "{file}");
            }
            "baddate.dat" => assert!(parsed(file).text(HeaderName::Date).unwrap().ends_with("EST")),
            // No branch: such requests are not matched with each other by it.
            "badbranch.dat" => assert_eq!(parsed(file).branch(), None),
            "unkscm.dat" | "novelsc.dat" => {
                let uri = Uri::parse(parsed(file).request_uri().unwrap()).unwrap();
                assert_eq!(uri.scheme(), Scheme::Other);
                assert_eq!(outcome(&vector(file)).unwrap_err().status(), 416);
            }
            "unksm2.dat" => {
                assert_eq!(parsed(file).to().unwrap().uri.scheme(), Scheme::Other);
                assert_eq!(outcome(&vector(file)).unwrap_err().status(), 400);
            }
            "bext01.dat" => {
                let message = parsed(file);
                let tokens = |name| message.values(name).collect::<Vec<_>>().join(" ");
                assert_eq!(
                    tokens(HeaderName::Require),
                    "nothingSupportsThis nothingSupportsThisEither"
                );
                assert_eq!(
                    tokens(HeaderName::ProxyRequire),
                    "noProxiesSupportThis norDoAnyProxiesSupportThis"
                );
            }
            "invut.dat" => assert_eq!(
                parsed(file).text(HeaderName::ContentType),
                Some("application/unknownformat")
            ),
            "regaut01.dat" => {
                let value = parsed(file);
                assert!(
                    value
                        .text(HeaderName::Authorization)
                        .unwrap()
                        .starts_with("NoOneKnowsThisScheme ")
                );
            }
            "bcast.dat" => {
                let message = parsed(file);
                assert_eq!(vias(&message).nth(1).unwrap().host, "255.255.255.255");
            }
            "zeromf.dat" => assert_eq!(parsed(file).number(HeaderName::MaxForwards), Some(0)),
            "cparam01.dat" => {
                let contact = parsed(file).contact().unwrap().unwrap();
                assert_eq!(contact.param("unknownparam"), Some(None));
                assert_eq!(contact.uri.param("unknownparam"), None);
            }
            "cparam02.dat" => {
                let contact = parsed(file).contact().unwrap().unwrap();
                assert_eq!(contact.uri.param("unknownparam"), Some(None));
                assert_eq!(contact.param("unknownparam"), None);
            }
            "regescrt.dat" => {
                let contact = parsed(file).contact().unwrap().unwrap();
                assert_eq!(contact.uri.header("Route"), Some("%3Csip:sip.example.com%3E"));
            }
            "sdp01.dat" => assert!(!parsed(file).has_token(HeaderName::Accept, "application/sdp")),
            "inv2543.dat" => {
                let message = parsed(file);
                assert_eq!(
                    (message.branch(), message.from_tag(), message.content_length()),
                    (None, None, None)
                );
                assert_eq!(message.body().len(), 105);
            }
            other => panic!("{other} has no check"),
        }
    }
}

fn vias(message: &Message) -> impl Iterator<Item = warmline::sip::Via<'_>> {
    message
        .values(HeaderName::Via)
        .map(|value| warmline::sip::Via::parse(value).unwrap())
}

fn wsinv() {
    let message = parsed("wsinv.dat");
    message.validate().unwrap();
    assert_eq!(*message.method(), Method::Invite);
    assert_eq!(
        (message.to_tag(), message.from_tag()),
        (Some("1918181833n"), Some("98asjd8"))
    );
    assert_eq!((message.cseq(), message.number(HeaderName::MaxForwards)), (9, Some(68)));
    assert_eq!(message.branch(), Some("390skdjuw"));
    assert_eq!(message.from().unwrap().display.as_deref(), Some("J Rosenberg \\\""));
    let list: Vec<_> = vias(&message).collect();
    assert_eq!(list.len(), 3);
    assert_eq!((list[0].transport, list[0].host), ("UDP", "192.0.2.2"));
    assert_eq!(
        (list[1].host, list[1].branch()),
        ("spindle.example.com", Some("z9hG4bK9ikj8"))
    );
    assert_eq!(
        (list[2].host, list[2].branch()),
        ("192.168.255.111", Some("z9hG4bK30239"))
    );
    assert_eq!(message.header(HeaderName::Subject), Some(&b""[..]));
    assert_eq!(
        message.header_named("NewFangledHeader"),
        Some(&b"newfangled value\r\n continued newfangled value"[..])
    );
    assert_eq!(
        message.header_named("UnknownHeaderWithUnusualValue"),
        Some(&b";;,,;;,;"[..])
    );
    let contact = message.contact().unwrap().unwrap();
    assert_eq!(contact.display.as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.param("newparam"), Some(Some("newvalue")));
    assert_eq!(
        (contact.param("secondparam"), contact.param("q")),
        (Some(None), Some(Some("0.33")))
    );
    assert_eq!(message.body().len(), 150);
    // Forwarded, only the white space before colons goes.
    let printed = Forward::new(&message).print();
    let again = Message::parse(printed.clone()).unwrap();
    let values = |m: &Message| m.all_headers().map(|(id, _, v)| (id, v.to_vec())).collect::<Vec<_>>();
    assert_eq!(values(&message), values(&again));
    assert!(printed.windows(31).any(|w| w == b"UnknownHeaderWithUnusualValue: "));
    assert!(printed.windows(5).any(|w| w == b"\r\nTO:"));
}

fn intmeth() {
    let message = parsed("intmeth.dat");
    message.validate().unwrap();
    assert_eq!(message.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(
        message.to().unwrap().display.as_deref(),
        Some("BEL:\u{7} NUL:\0 DEL:\u{7f}")
    );
    assert_eq!(message.from_tag(), Some("_token~1'+`*%!-."));
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!(uri.host(), "example.com");
    assert_eq!(
        message.header_named("extensionHeader-!.%*+_`'~"),
        Some("\u{feff}大停電".as_bytes())
    );
    assert_eq!(Forward::new(&message).print(), vector("intmeth.dat"));
}

fn esc01() {
    let message = parsed("esc01.dat");
    message.validate().unwrap();
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!(uri.user(), Some("sips%3Auser%40example.com"));
    assert_eq!(uri.user_unescaped().as_deref(), Some("sips:user@example.com"));
    assert_eq!(uri.host(), "example.net");
    let contact = message.contact().unwrap().unwrap();
    assert_eq!(contact.uri.param("lr"), None);
    assert!(contact.uri.as_str().contains("n%61me"));
    // Once and no further: %25%34%31 is %41, not A.
    let twice = Uri::parse("sip:value%25%34%31@example.net").unwrap();
    assert_eq!(twice.user_unescaped().as_deref(), Some("value%41"));
    let to = message.to().unwrap();
    assert!(to.uri.same_user(&Uri::parse("sip:%75se%72@EXAMPLE.com").unwrap()));
}

fn escnull() {
    let message = parsed("escnull.dat");
    message.validate().unwrap();
    assert_eq!(
        message.to().unwrap().uri.user_unescaped().as_deref(),
        Some("null-\0-null")
    );
    let contacts = NameAddr::list(&message, HeaderName::Contact).unwrap();
    assert_eq!(contacts.len(), 2);
    assert_eq!(contacts[0].uri.user(), Some("%00"));
    assert_eq!(contacts[1].uri.user(), Some("%00%00"));
    assert!(!contacts[0].uri.same_user(&contacts[1].uri));
}

fn longreq() {
    let message = parsed("longreq.dat");
    message.validate().unwrap();
    let hosts: Vec<&str> = vias(&message).map(|via| via.host).collect();
    let expected: Vec<String> = std::iter::once("sip33.example.com".to_owned())
        .chain((1..=32).rev().map(|n| format!("sip{n}.example.com")))
        .chain(["host.example.com".to_owned()])
        .collect();
    assert_eq!(hosts, expected);
    // Six lines have white space before the colon; nothing else changes.
    let mut tidy = String::from_utf8(message.bytes().to_vec()).unwrap();
    for (name, clean) in [
        ("V : ", "V: "),
        ("v : ", "v: "),
        ("V  :", "V:"),
        ("v  :", "v:"),
        ("Via :", "Via:"),
        ("Via  :", "Via:"),
    ] {
        assert!(tidy.contains(&format!("\r\n{name}")));
        tidy = tidy.replace(&format!("\r\n{name}"), &format!("\r\n{clean}"));
    }
    assert_eq!(Forward::new(&message).print(), tidy);
    let popped = Message::parse(Forward::new(&message).pop_via().print()).unwrap();
    assert_eq!(vias(&popped).map(|via| via.host).collect::<Vec<_>>(), hosts[1..]);
}

#[test]
fn the_messages_of_rfc_5118_meet_their_verdict() {
    let rows = rows("rfc5118");
    assert_eq!(rows.len(), 12);
    for row in &rows {
        let file = row["file"].as_str();
        let result = outcome(&octets("rfc5118", file));
        match row["parser_verdict"].as_str() {
            "reject" => assert_eq!(result.unwrap_err().status(), 400, "{file}"),
            verdict => {
                let message = result.unwrap_or_else(|error| panic!("{file}: {error}"));
                let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
                if verdict.contains("host = 2001:db8::10:5070") {
                    assert_eq!((uri.host(), uri.port()), ("[2001:db8::10:5070]", None), "{file}");
                    assert_eq!(uri.addr(), Some("[2001:db8::10:5070]:5060".parse().unwrap()));
                }
                if verdict.contains("port 5070") {
                    assert_eq!((uri.host(), uri.port()), ("[2001:db8::10]", Some(5070)), "{file}");
                }
            }
        }
    }
}
