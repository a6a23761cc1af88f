use super::*;

fn user(name: &str, cseq: u32) -> Stored {
    let binding = StoredBinding {
        aor: format!("sip:{name}@example.test").into(),
        contact: format!("<sip:{name}@192.0.2.1:5062>"),
        transport: "UDP".into(),
        local: "192.0.2.9:5060".parse().unwrap(),
        remote: "192.0.2.1:5062".parse().unwrap(),
        expires: 1_800_000_000,
        call_id: "r1".into(),
        cseq,
        local_registrar: true,
        instance: None,
        reg_id: None,
        q: 1_000,
        path: vec!["<sip:edge;lr>".into()],
    };
    Stored::User(StoredUser {
        user: name.into(),
        bindings: vec![binding],
    })
}

fn file(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("warmline-store-{}-{name}.db", std::process::id()));
    std::fs::remove_file(&path).ok();
    path
}

fn serves(mut store: impl Store, mut again: impl FnMut() -> Box<dyn Store>) {
    let identity = Identity { key: [7; 16], node: 3 };
    assert_eq!(store.identity(identity.clone()).unwrap(), identity);
    store.keep(&rows(&[user("alice", 1), user("bob", 1)])).unwrap();
    store.keep(&rows(&[user("alice", 2)])).unwrap();
    let nobody = StoredUser {
        user: "bob".into(),
        bindings: Vec::new(),
    };
    store.keep(&rows(&[Stored::User(nobody)])).unwrap();
    drop(store);
    let mut store = again();
    let other = Identity { key: [8; 16], node: 3 };
    assert_eq!(store.identity(other).unwrap(), identity);
    assert_eq!(store.records().unwrap(), [user("alice", 2)]);
    let elsewhere = Identity { key: [8; 16], node: 4 };
    assert!(matches!(
        store.identity(elsewhere),
        Err(StoreError::OtherNode { found: 3, wanted: 4 })
    ));
}

#[test]
fn both_back_ends_keep_what_they_are_given() {
    let memory = Memory::default();
    serves(memory.clone(), || Box::new(memory.clone()));
    let path = file("keeps");
    serves(Embedded::open(&path).unwrap(), || {
        Box::new(Embedded::open(&path).unwrap())
    });
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "the key is for its owner only");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_is_in_use_or_no_store_says_so() {
    let path = file("busy");
    let _held = Embedded::open(&path).unwrap();
    assert!(matches!(Embedded::open(&path), Err(StoreError::Busy { .. })));
    std::fs::remove_file(&path).unwrap();
    let path = file("text");
    std::fs::write(&path, "no store at all, and never was one").unwrap();
    let error = Embedded::open(&path).unwrap_err();
    assert!(error.to_string().contains("warmline-store-") && !error.hint().is_empty());
    std::fs::remove_file(path).unwrap();
    assert!(Embedded::open(std::path::Path::new("/no/such/folder/x.db")).is_err());
}

#[test]
fn the_writer_writes_all_before_it_ends() {
    let memory = Memory::default();
    let mut writer = Writer::start(Box::new(memory.clone()), None, Box::new(|_| {})).unwrap();
    for cseq in 0..500 {
        writer.keep(&[user("alice", cseq)]);
        writer.keep(&[user(&format!("user{cseq}"), 1)]);
    }
    drop(writer);
    let users = memory.clone().records().unwrap();
    assert_eq!(users.len(), 501);
    assert_eq!(users.first(), Some(&user("alice", 499)));
}

#[test]
fn a_store_of_format_1_is_taken_over_and_a_newer_one_refused() {
    let path = file("formats");
    drop(Embedded::open(&path).unwrap());
    // What the version before this one left: no table but those two.
    std::fs::remove_file(&path).unwrap();
    let write = |format: &str| {
        let database = redb::Database::create(&path).unwrap();
        let write = database.begin_write().unwrap();
        {
            let main: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("warmline");
            let mut main = write.open_table(main).unwrap();
            main.insert("format", format.as_bytes()).unwrap();
            let bindings: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("bindings");
            let mut bindings = write.open_table(bindings).unwrap();
            let Stored::User(alice) = user("alice", 1) else { return };
            let octets = serde_json::to_vec(&alice.bindings).unwrap();
            bindings.insert("alice", octets.as_slice()).unwrap();
        }
        write.commit().unwrap();
    };
    write("1");
    let mut store = Embedded::open(&path).unwrap();
    assert_eq!(store.records().unwrap(), [user("alice", 1)]);
    drop(store);
    write("4");
    let error = Embedded::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 4, known: 3, .. }), "{error}");
    assert!(!error.hint().is_empty());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_was_only_noted_when_the_process_died_is_there_afterwards() {
    let path = file("journal");
    let mut store = Embedded::open(&path).unwrap();
    store.keep(&rows(&[user("alice", 1), user("bob", 1)])).unwrap();
    let mut journal = store.journal().unwrap().unwrap();
    let nobody = StoredUser {
        user: "bob".into(),
        bindings: Vec::new(),
    };
    journal.note(1, &rows(&[user("alice", 2), user("carol", 1)])).unwrap();
    journal
        .note(2, &rows(&[user("alice", 3), Stored::User(nobody)]))
        .unwrap();
    drop((store, journal));
    // The process died in the middle of a line.
    let noted = std::path::PathBuf::from(format!("{}-journal0", path.display()));
    let mut octets = std::fs::read(&noted).unwrap();
    octets.extend_from_slice(b"[3,[[\"bindings\",\"al");
    std::fs::write(&noted, octets).unwrap();
    let mut store = Embedded::open(&path).unwrap();
    assert_eq!(store.records().unwrap(), [user("alice", 3), user("carol", 1)]);
    // And only once: what comes later is newer.
    drop(store.journal().unwrap());
    store.keep(&rows(&[user("alice", 4)])).unwrap();
    drop(store);
    let mut store = Embedded::open(&path).unwrap();
    assert_eq!(store.records().unwrap(), [user("alice", 4), user("carol", 1)]);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&noted).unwrap().permissions().mode() & 0o077, 0);
    for path in [path.clone(), noted, format!("{}-journal1", path.display()).into()] {
        std::fs::remove_file(path).ok();
    }
}
