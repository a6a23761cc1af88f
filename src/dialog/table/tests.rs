use super::*;
use proptest::prelude::*;

const CALL: &str = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@example.com";

fn table(first_generation: u32) -> Table<u32> {
    Table::new(Seal::new(*b"the cluster key!", 9), first_generation)
}

fn insert(table: &mut Table<u32>, call_id: &str, remote: Option<&str>, value: u32) -> (DialogHandle, Tag) {
    let handle = table.insert_with(call_id, remote, |_, _| value);
    (handle, table.tag(handle).unwrap())
}

#[test]
fn both_tags_and_the_call_id_must_agree() {
    let mut table = table(0);
    let (handle, tag) = insert(&mut table, CALL, Some("alice"), 1);
    assert_eq!(table.find(&tag, CALL, "alice"), Match::Found(handle));
    assert_eq!(table.find(&tag, CALL, "alicf"), Match::Mismatch);
    assert_eq!(table.find(&tag, CALL, "alic"), Match::Mismatch);
    assert_eq!(table.find(&tag, CALL, "alice2"), Match::Mismatch);
    assert_eq!(table.find(&tag, CALL, ""), Match::Mismatch);
    assert_eq!(table.find(&tag, &CALL[1..], "alice"), Match::Mismatch);
    // The boundary between the two texts is part of the match.
    assert_eq!(table.find(&tag, &CALL[..CALL.len() - 1], "malice"), Match::Mismatch);
    assert_eq!(table.find("1928301774", CALL, "alice"), Match::NotOurs);
    assert_eq!(table.get(handle), Some(&1));
}

#[test]
fn an_ended_dialog_is_gone_and_its_slot_has_another_tag() {
    let mut table = table(u32::MAX);
    let (first, old) = insert(&mut table, CALL, Some("alice"), 1);
    assert_eq!(table.remove(first), Some(1));
    assert_eq!(table.remove(first), None);
    assert_eq!(table.find(&old, CALL, "alice"), Match::Gone(first));
    let (second, new) = insert(&mut table, CALL, Some("alice"), 2);
    assert_eq!(
        second,
        DialogHandle {
            slot: first.slot,
            generation: 0
        },
        "the generation wraps"
    );
    assert_ne!(old, new);
    assert_eq!(table.find(&old, CALL, "alice"), Match::Gone(first));
    assert_eq!(table.find(&new, CALL, "alice"), Match::Found(second));
    assert_eq!(table.get(first), None);
    assert_eq!(table.len(), 1);
}

#[test]
fn a_slot_without_generations_left_is_retired() {
    let mut table = table(7);
    let (first, _) = insert(&mut table, CALL, Some("a"), 1);
    table.remove(first);
    // As if four thousand million calls had gone through the slot.
    table.rows.get_mut(first.slot).unwrap().vacate(6);
    let (last, tag) = insert(&mut table, CALL, Some("a"), 2);
    assert_eq!((last.slot, last.generation), (first.slot, 6));
    table.remove(last);
    let (next, _) = insert(&mut table, CALL, Some("a"), 3);
    assert_ne!(next.slot, first.slot);
    assert_eq!(table.find(&tag, CALL, "a"), Match::Gone(last));
}

#[test]
fn a_dialog_set_is_found_before_its_remote_tag_is_known() {
    let mut table = table(1);
    let (set, tag) = insert(&mut table, CALL, None, 1);
    assert_eq!(table.find(&tag, CALL, "anybody"), Match::Found(set));
    assert_eq!(table.find(&tag, "other", "anybody"), Match::Mismatch);
    assert_eq!(table.remote_tag(set), None);
    assert!(table.set_remote_tag(set, "bob"));
    assert_eq!(table.find(&tag, CALL, "bob"), Match::Found(set));
    assert_eq!(table.find(&tag, CALL, "anybody"), Match::Mismatch);
    assert_eq!((table.call_id(set), table.remote_tag(set)), (Some(CALL), Some("bob")));
}

#[test]
fn forks_share_the_tag_and_differ_in_the_remote_tag() {
    let mut table = table(u32::MAX);
    let (bob, tag) = insert(&mut table, CALL, Some("bob"), 1);
    let (bystander, _) = insert(&mut table, CALL, Some("bob"), 9);
    let carol = table
        .fork(bob, "carol", |_, same| {
            assert_eq!(same, tag);
            2
        })
        .unwrap();
    let dave = table.fork(carol, "dave", |_, _| 3).unwrap();
    assert_eq!(table.forks(dave).collect::<Vec<_>>(), [bob, carol, dave]);
    assert_eq!(table.find(&tag, CALL, "dave"), Match::Found(dave));
    assert_eq!(table.remove(bob), Some(1));
    assert_eq!(table.find(&tag, CALL, "bob"), Match::Mismatch);
    assert_eq!(table.find(&tag, CALL, "carol"), Match::Found(carol));
    assert_eq!(table.remove(carol), Some(2));
    assert_eq!(table.forks(dave).collect::<Vec<_>>(), [dave]);
    assert_eq!(table.find(&tag, CALL, "dave"), Match::Found(dave));
    assert_eq!(table.remove(dave), Some(3));
    assert_eq!(table.find(&tag, CALL, "dave"), Match::Gone(bob));
    assert_eq!(table.fork(dave, "erin", |_, _| 4), None);
    assert_eq!(table.iter().collect::<Vec<_>>(), [(bystander, &9)]);
}

#[test]
fn a_set_has_at_most_so_many_forks() {
    let mut table = table(0);
    let (head, _) = insert(&mut table, CALL, Some("0"), 0);
    let made = (1..100)
        .filter(|n| table.fork(head, &n.to_string(), |_, _| 0).is_some())
        .count();
    assert_eq!(made, MAX_FORKS - 1);
    assert_eq!(table.forks(head).count(), MAX_FORKS);
}

#[test]
fn long_identifiers_match_too() {
    let mut table = table(0);
    let (long, tall) = ("c".repeat(300), "t".repeat(80));
    let (handle, tag) = insert(&mut table, &long, Some(&tall), 1);
    assert_eq!(table.find(&tag, &long, &tall), Match::Found(handle));
    assert_eq!(table.find(&tag, &long[1..], &tall), Match::Mismatch);
    assert_eq!(table.find(&tag, "", ""), Match::Mismatch);
    assert!(table.set_remote_tag(handle, ""));
    assert_eq!(table.find(&tag, &long, ""), Match::Found(handle));
    table.remove(handle);
    let (short, tag) = insert(&mut table, CALL, Some("x"), 1);
    assert_eq!(table.find(&tag, CALL, "x"), Match::Found(short));
}

#[test]
fn a_restored_dialog_keeps_tag_and_slot() {
    let mut before = table(100);
    (0..5).for_each(|n| {
        insert(&mut before, CALL, Some("x"), n);
    });
    let (old, tag) = insert(&mut before, CALL, Some("bob"), 5);
    let mut after = table(900);
    let (first, _) = insert(&mut after, CALL, Some("x"), 0);
    let back = after
        .adopt(&tag, CALL, Some("bob"), |_, same| {
            assert_eq!(same, tag);
            5
        })
        .unwrap();
    assert_eq!((back, first.slot), (old, 0));
    assert_eq!(after.find(&tag, CALL, "bob"), Match::Found(back));
    assert_eq!(after.adopt(&tag, CALL, Some("bob"), |_, _| 6), None, "it lives already");
    let slots: Vec<u32> = (0..5).map(|n| insert(&mut after, CALL, Some("x"), n).0.slot).collect();
    assert_eq!(slots, [4, 3, 2, 1, 6], "the slots before it are free, its own is not");
    after.remove(back);
    assert_eq!(after.find(&tag, CALL, "bob"), Match::Gone(back));
}

#[test]
fn a_dialog_of_another_node_is_adopted_under_its_own_tag() {
    let mut dead = Table::new(Seal::new(*b"the cluster key!", 8), 1);
    let handle = dead.insert_with(CALL, Some("bob"), |_, _| 0);
    let tag = dead.tag(handle).unwrap();
    let mut table = table(1);
    let (own, own_tag) = insert(&mut table, CALL, Some("bob"), 1);
    assert_eq!(table.find(&tag, CALL, "bob"), Match::OtherNode(8));
    let adopted = table.adopt(&tag, CALL, Some("bob"), |_, _| 2).unwrap();
    assert_eq!(table.find(&tag, CALL, "bob"), Match::Found(adopted));
    assert_eq!(table.find(&tag, CALL, "eve"), Match::Mismatch);
    assert_eq!(table.find(&own_tag, CALL, "bob"), Match::Found(own));
    assert_eq!(table.tag(adopted), Some(tag));
    table.remove(adopted);
    assert_eq!(table.find(&tag, CALL, "bob"), Match::OtherNode(8));
    assert_eq!(table.adopt("1928301774", CALL, None, |_, _| 3), None);
}

#[test]
fn a_restored_tag_is_not_given_away_again() {
    // The generation that the new process draws happens to be the one that the old process used.
    let (_, tag) = insert(&mut table(5), CALL, Some("bob"), 1);
    let mut after = table(5);
    let (new, _) = insert(&mut after, CALL, Some("x"), 2);
    assert_eq!(after.adopt(&tag, CALL, Some("bob"), |_, _| 3), None);
    after.remove(new);
    let back = after.adopt(&tag, CALL, Some("bob"), |_, _| 3).unwrap();
    let (next, _) = insert(&mut after, CALL, Some("x"), 4);
    assert_ne!((next.slot, next.generation), (back.slot, back.generation));
    assert_eq!(after.find(&tag, CALL, "bob"), Match::Found(back));
}

/// What happens to a table, and what a plain list of dialogs would answer.
#[derive(Clone, Debug)]
enum Step {
    Insert { call: u8, remote: Option<u8> },
    Fork { of: usize, remote: u8 },
    Tell { of: usize, remote: u8 },
    Remove { of: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4u8, proptest::option::of(0..4u8)).prop_map(|(call, remote)| Step::Insert { call, remote }),
        (any::<usize>(), 0..6u8).prop_map(|(of, remote)| Step::Fork { of, remote }),
        (any::<usize>(), 0..6u8).prop_map(|(of, remote)| Step::Tell { of, remote }),
        any::<usize>().prop_map(|of| Step::Remove { of }),
    ]
}

proptest! {
    #[test]
    fn the_table_answers_as_a_list_would(steps in proptest::collection::vec(step(), 1..60), first in (u32::MAX - 3)..) {
        let mut table = table(first);
        // (handle, tag, call, remote) of those that live, and tags of all that ever were.
        let mut list: Vec<(DialogHandle, Tag, u8, Option<u8>)> = Vec::new();
        let mut tags: Vec<Tag> = Vec::new();
        for step in steps {
            match step {
                Step::Insert { call, remote } => {
                    let (handle, tag) = insert(&mut table, &call.to_string(), remote.map(|r| r.to_string()).as_deref(), 0);
                    prop_assert!(!tags.contains(&tag), "a tag is made once");
                    tags.push(tag);
                    list.push((handle, tag, call, remote));
                }
                Step::Fork { of, remote } if !list.is_empty() => {
                    let (handle, tag, call, _) = list[of % list.len()];
                    if list.iter().all(|d| d.1 != tag || d.3.is_some_and(|r| r != remote)) {
                        let fork = table.fork(handle, &remote.to_string(), |_, _| 0).unwrap();
                        list.push((fork, tag, call, Some(remote)));
                    }
                }
                Step::Tell { of, remote } if !list.is_empty() => {
                    let at = of % list.len();
                    let (handle, tag, ..) = list[at];
                    if list.iter().all(|d| d.1 != tag || d.3 != Some(remote)) {
                        prop_assert!(table.set_remote_tag(handle, &remote.to_string()));
                        list[at].3 = Some(remote);
                    }
                }
                Step::Remove { of } if !list.is_empty() => {
                    let (handle, ..) = list.swap_remove(of % list.len());
                    prop_assert!(table.remove(handle).is_some());
                }
                Step::Fork { .. } | Step::Tell { .. } | Step::Remove { .. } => {}
            }
        }
        prop_assert_eq!(table.len(), list.len());
        prop_assert_eq!(table.iter().count(), list.len());
        let texts: Vec<String> = (0..6u8).map(|n| n.to_string()).collect();
        let mut queries = Vec::new();
        let mut expected = Vec::new();
        for tag in &tags {
            for call in 0..4u8 {
                for remote in 0..6u8 {
                    queries.push(Query { local_tag: tag, call_id: &texts[call as usize], remote_tag: &texts[remote as usize] });
                    let set: Vec<_> = list.iter().filter(|d| d.1 == *tag).collect();
                    let found = set.iter().find(|d| d.2 == call && d.3 == Some(remote));
                    let open = set.iter().find(|d| d.2 == call && d.3.is_none());
                    expected.push(match found.or(open) {
                        Some(dialog) => Match::Found(dialog.0),
                        None if set.is_empty() => {
                            let parts = table.seal().open(tag).unwrap();
                            Match::Gone(DialogHandle { slot: parts.slot, generation: parts.generation })
                        }
                        None => Match::Mismatch,
                    });
                }
            }
        }
        let mut batch = vec![Match::NotOurs; queries.len()];
        table.find_batch(&queries, &mut batch);
        for ((query, expected), batch) in queries.iter().zip(&expected).zip(&batch) {
            prop_assert_eq!(table.find(query.local_tag, query.call_id, query.remote_tag), *expected);
            prop_assert_eq!(batch, expected);
        }
    }

    #[test]
    fn strangers_texts_are_answered(local in "[a-z2-7]{32}|\\PC{0,40}", call in "\\PC{0,20}", remote in "\\PC{0,20}") {
        let mut table = table(0);
        insert(&mut table, CALL, Some("alice"), 1);
        prop_assert!(matches!(table.find(&local, &call, &remote), Match::NotOurs | Match::Forged));
    }
}
