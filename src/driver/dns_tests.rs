use std::collections::HashMap;
use std::net::UdpSocket;

use super::*;

/// Type and data of the records of a name.
type Zone = HashMap<&'static str, Vec<(u16, Vec<u8>)>>;

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut out: Vec<u8> = labels
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
        .collect();
    out.push(0);
    out
}

fn srv(priority: u16, port: u16, target: &str) -> (u16, Vec<u8>) {
    let numbers = [priority, 0, port].map(u16::to_be_bytes).concat();
    (33, [numbers, name(target)].concat())
}

fn naptr(order: u16, services: &str, replacement: &str) -> (u16, Vec<u8>) {
    let mut out = [order, 10].map(u16::to_be_bytes).concat();
    for text in ["s", services, ""] {
        out.push(text.len() as u8);
        out.extend(text.as_bytes());
    }
    (35, [out, name(replacement)].concat())
}

/// A name server on loopback for as long as the process lives (RFC 1035 §4).
fn serve(zone: Zone) -> Dns {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut octets = [0; 1_500];
        while let Ok((length, from)) = socket.recv_from(&mut octets) {
            let (mut at, mut labels) = (12, Vec::new());
            while octets[at] != 0 {
                let end = at + 1 + usize::from(octets[at]);
                labels.push(String::from_utf8_lossy(&octets[at + 1..end]).to_ascii_lowercase());
                at = end;
            }
            let question = &octets[12..(at + 5).min(length)];
            let kind = u16::from_be_bytes([octets[at + 1], octets[at + 2]]);
            let records = zone
                .get(labels.join(".").as_str())
                .map(Vec::as_slice)
                .unwrap_or_default();
            let answers: Vec<_> = records.iter().filter(|(of, _)| *of == kind).collect();
            let mut out = octets[..2].to_vec();
            out.extend([0x85, 0x80, 0, 1, 0, answers.len() as u8, 0, 0, 0, 0]);
            out.extend(question);
            for (kind, data) in answers {
                out.extend([0xc0, 12]);
                out.extend(kind.to_be_bytes());
                out.extend([0, 1, 0, 0, 0, 60]);
                out.extend((data.len() as u16).to_be_bytes());
                out.extend(data);
            }
            socket.send_to(&out, from).unwrap();
        }
    });
    Dns::new(&[address], Duration::from_secs(5))
}

#[tokio::test]
async fn a_domain_is_followed_from_naptr_by_srv_to_addresses() {
    let zone = Zone::from([
        (
            "example.test",
            vec![
                naptr(20, "SIP+D2U", "_sip._udp.example.test"),
                naptr(10, "SIP+D2T", "_sip._tcp.example.test"),
            ],
        ),
        (
            "_sip._tcp.example.test",
            vec![srv(2, 5062, "two.example.test"), srv(1, 5061, "one.example.test")],
        ),
        ("_sip._udp.example.test", vec![srv(1, 5060, "one.example.test")]),
        ("one.example.test", vec![(1, vec![192, 0, 2, 1])]),
        ("two.example.test", vec![(1, vec![192, 0, 2, 2])]),
    ]);
    let dns = serve(zone);
    let wanted = |port, transport| Wanted {
        host: "example.test".to_owned(),
        port,
        transport,
        secure: false,
    };
    let ours = [Transport::Udp, Transport::Tcp];
    let found = dns.locate(&wanted(None, None), &ours, 1).await.unwrap();
    assert_eq!(found.life.as_secs().div_ceil(10), 6, "the records live 60 s");
    let found = found.places;
    let text: Vec<String> = found
        .iter()
        .map(|place| format!("{} {}", place.transport, place.address))
        .collect();
    assert_eq!(text, ["TCP 192.0.2.1:5061", "TCP 192.0.2.2:5062", "UDP 192.0.2.1:5060"]);
    let found = dns
        .locate(&wanted(None, Some(Transport::Udp)), &ours, 1)
        .await
        .unwrap()
        .places;
    assert_eq!(found[0].address, "192.0.2.1:5060".parse::<SocketAddr>().unwrap());
    let lonely = Wanted {
        host: "two.example.test".to_owned(),
        ..wanted(Some(5070), None)
    };
    assert_eq!(
        dns.locate(&lonely, &ours, 1).await.unwrap().places[0].address,
        "192.0.2.2:5070".parse::<SocketAddr>().unwrap()
    );
}
