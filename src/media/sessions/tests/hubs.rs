//! Hubs: who hears whom.

use super::room::{HUB, Room, speaker};
use super::*;
use crate::media::{Heard, Hears, Member};

const PHONES: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::Pcmu, Codec::Pcma];

#[test]
fn everybody_hears_all_others_and_not_itself() {
    let mut room = Room::new(&PHONES);
    room.conference();
    assert_eq!(room.matrix(), [".###", "#.##", "##.#", "###."]);
}

#[test]
fn telephones_wideband_and_browsers_talk_together() {
    let mut room = Room::new(&[Codec::Pcmu, Codec::G722, Codec::Opus, Codec::Pcma]);
    room.conference();
    assert_eq!(room.matrix(), [".###", "#.##", "##.#", "###."]);
}

#[test]
fn each_part_hears_and_is_heard_as_it_should() {
    let mut room = Room::new(&[Codec::Pcmu, Codec::Opus, Codec::Pcma, Codec::G722, Codec::Pcmu]);
    let leg = |at: usize| LegHandle {
        slot: at as u32,
        generation: 3,
    };
    let member = |at: usize, heard: Heard, hears: Hears| Member {
        leg: leg(at),
        heard,
        hears,
    };
    // A customer, an agent, the agent's coach, a monitor, and one on hold without music.
    room.mix(vec![
        speaker(leg(0)),
        speaker(leg(1)),
        member(2, Heard::By(leg(1)), Hears::All),
        member(3, Heard::ByNobody, Hears::All),
        member(4, Heard::ByNobody, Hears::Nothing),
    ]);
    assert_eq!(room.matrix(), [".#...", "#.#..", "##...", "##...", "....."]);
    // The coach barges in, the monitor coaches the customer, the one on hold is back, muted.
    room.mix(vec![
        speaker(leg(0)),
        speaker(leg(1)),
        speaker(leg(2)),
        member(3, Heard::By(leg(0)), Hears::All),
        member(4, Heard::ByNobody, Hears::All),
    ]);
    assert_eq!(room.matrix(), [".###.", "#.#..", "##...", "###..", "###.."]);
    // Whom a coach coaches leaves: nobody hears the coach.
    room.mix(vec![
        speaker(leg(1)),
        speaker(leg(2)),
        member(3, Heard::By(leg(0)), Hears::All),
    ]);
    let rows = room.matrix();
    assert_eq!(rows[1..4], ["..#..", ".#...", ".##.."]);
    assert_eq!([&rows[0], &rows[4]], ["nothing", "nothing"]);
    let _ = HUB;
}
