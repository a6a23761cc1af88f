use super::*;

const NOW: &str = "2026-11-20T17:00:00.000Z";

struct Place(std::path::PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("warmline-audit-{name}-{}", std::process::id()));
        std::fs::remove_file(&path).ok(); // left by a run that was ended
        Place(path)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok(); // of no use to anybody
    }
}

#[test]
fn a_second_process_goes_on_where_the_first_was_killed() {
    let place = Place::new("killed");
    let audit = Audit::open(&place.0, NOW).unwrap();
    for _ in 0..3 {
        audit.note(NOW.to_owned(), json!({"what": "api"}));
    }
    drop(audit);
    // In the middle of a line.
    let text = place.text();
    std::fs::write(&place.0, text.get(..text.len() - 30).unwrap()).unwrap();
    drop(Audit::open(&place.0, NOW).unwrap());
    let text = place.text();
    assert_eq!(Chain::of(&text).unwrap().number(), 3);
    assert!(text.lines().last().unwrap().contains("\"what\":\"torn\""), "{text}");
}

#[test]
fn nothing_is_written_behind_a_line_that_was_changed() {
    let place = Place::new("changed");
    let audit = Audit::open(&place.0, NOW).unwrap();
    audit.note(NOW.to_owned(), json!({"what": "api", "who": "a"}));
    audit.note(NOW.to_owned(), json!({"what": "api", "who": "b"}));
    drop(audit);
    let changed = place.text().replacen("\"who\":\"a\"", "\"who\":\"c\"", 1);
    std::fs::write(&place.0, &changed).unwrap();
    let error = Audit::open(&place.0, NOW).unwrap_err().to_string();
    assert!(error.contains("line 1: it was changed"), "{error}");
    assert_eq!(place.text(), changed);
}

#[test]
fn what_a_full_disk_refuses_is_counted() {
    // A file that takes nothing, on a real kernel.
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let place = Place::new("full");
    let mut page = Page {
        file: OpenOptions::new().write(true).open(full).unwrap(),
        end: 0,
        chain: Chain::default(),
        lost: Arc::default(),
        lost_ever: Arc::default(),
    };
    assert!(!page.append("2026-11-20T17:00:00.000Z", &json!({"what": "api"})));
    assert_eq!(
        page.chain.number(),
        0,
        "the chain goes on with what is in the file only"
    );
    page.file = File::create(&place.0).unwrap();
    page.lost.fetch_add(1, Ordering::Relaxed);
    let (queue, lines) = sync_channel(4);
    queue
        .send(("2026-11-20T17:00:01.000Z".to_owned(), json!({"what": "api"})))
        .unwrap();
    drop(queue);
    page.write(&lines);
    let text = place.text();
    assert_eq!(Chain::of(&text).unwrap().number(), 2);
    assert!(
        text.starts_with("{\"number\":1,\"at\":\"2026-11-20T17:00:01.000Z\",\"lines\":1,\"what\":\"lost\""),
        "{text}"
    );
}
