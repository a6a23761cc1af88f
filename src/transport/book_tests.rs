use super::*;
use crate::transport::Transport;

fn place(last: u8) -> Place {
    Place {
        address: SocketAddr::from(([192, 0, 2, last], 5060)),
        transport: Transport::Udp,
    }
}

fn wanted(host: &str) -> Wanted {
    Wanted {
        host: host.to_owned(),
        port: None,
        transport: None,
        secure: false,
    }
}

fn named(host: &str, places: &[u8], life: u64) -> Named {
    Named {
        host: host.to_owned(),
        first: place(places[0]),
        wanted: wanted(host),
        places: places.iter().copied().map(place).collect(),
        life: Duration::from_secs(life),
    }
}

#[expect(clippy::disallowed_methods, reason = "the one base of virtual time")]
fn start() -> Instant {
    Instant::now()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_name_is_asked_again_when_its_records_end_and_serves_the_old_places_until_then() {
    let now = start();
    let mut book = Book::new(vec![named("pbx.test", &[1, 2], 60)], SECOND * 32, now);
    assert_eq!(book.due(now + SECOND * 59), None);
    assert_eq!(book.poll_timeout(), Some(now + SECOND * 60));
    let later = now + SECOND * 60;
    assert_eq!(book.due(later), Some((0, wanted("pbx.test"))));
    assert_eq!(book.due(later), None, "asked once");
    assert_eq!(book.places(later, "pbx.test", place(1)), [place(1), place(2)]);
    let found = Found {
        places: vec![place(3)],
        life: SECOND * 100,
    };
    assert!(book.learned(later, 0, &wanted("pbx.test"), Some(found.clone())));
    assert!(
        !book.learned(later, 0, &wanted("pbx.test"), Some(found)),
        "nothing new is no change"
    );
    assert_eq!(
        book.places(later, "pbx.test", place(1)),
        [place(3)],
        "still named by its first place"
    );
    assert!(book.is_at("pbx.test", place(1), |address| address == place(3).address));
    assert_eq!(book.poll_timeout(), Some(later + SECOND * 100));
    assert_eq!(
        book.places(later, "other.test", place(1)),
        [place(1)],
        "another entry of the same place"
    );
}

#[test]
fn a_look_up_that_brings_nothing_leaves_what_is_known() {
    let now = start();
    let mut book = Book::new(vec![named("pbx.test", &[1], 0)], SECOND, now);
    let due = now + SHORTEST;
    assert_eq!(
        book.poll_timeout(),
        Some(due),
        "no life is too short to ask at once again"
    );
    assert!(book.due(due).is_some());
    assert!(!book.learned(due, 0, &wanted("pbx.test"), None));
    assert_eq!(book.places(due, "pbx.test", place(1)), [place(1)]);
    assert_eq!(book.poll_timeout(), Some(due + AGAIN));
}

#[test]
fn an_answer_for_a_name_that_a_reload_replaced_is_not_taken() {
    let now = start();
    let mut book = Book::new(vec![named("old.test", &[1], 60)], SECOND, now);
    book.rename(vec![named("new.test", &[2], 60)], SECOND, now);
    let found = Found {
        places: vec![place(9)],
        life: SECOND,
    };
    assert!(!book.learned(now, 0, &wanted("old.test"), Some(found)));
    assert_eq!(book.places(now, "new.test", place(2)), [place(2)]);
}

#[test]
fn failures_are_bounded_and_a_server_does_not_say_how_long_it_is_left_out() {
    let now = start();
    let mut book = Book::new(Vec::new(), SECOND * 32, now);
    book.failed(now, place(1), Some(SECOND * 1_000_000));
    let after = now + LONGEST_AVOIDED;
    assert_eq!(book.ordered(now, vec![place(1), place(2)]), [place(2), place(1)]);
    assert_eq!(book.ordered(after, vec![place(1), place(2)]), [place(1), place(2)]);
    for port in 0..2 * MOST as u16 {
        let address = SocketAddr::from(([198, 51, 100, 1], port));
        book.failed(now, Place { address, ..place(1) }, None);
    }
    assert_eq!(book.bad.len(), MOST);
}
