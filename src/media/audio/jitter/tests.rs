//! Tests of the jitter buffer in virtual time.

use super::*;
use proptest::prelude::*;

const TICK: u64 = 20_000;

/// A sender of 20 ms packets and a network; microseconds since the beginning.
struct Line {
    began: Instant,
    jitter: Jitter,
    /// When, sequence number, timestamp.
    under_way: Vec<(u64, u16, u32)>,
}

impl Line {
    #[expect(clippy::disallowed_methods, reason = "virtual time begins somewhere")]
    fn new() -> Line {
        Line {
            began: Instant::now(),
            jitter: Jitter::new(8_000),
            under_way: Vec::new(),
        }
    }

    /// Packets of a sender whose ticks last `every`, each as late as `late` says; `None` is lost.
    fn send(&mut self, from: u64, count: u16, every: u64, late: impl Fn(u16) -> Option<u64>) {
        for index in 0..count {
            if let Some(late) = late(index) {
                let at = from + u64::from(index) * every + late;
                let (sequence, timestamp) = (65_500_u16.wrapping_add(index), u32::MAX - 5_000);
                self.under_way
                    .push((at, sequence, timestamp.wrapping_add(u32::from(index) * 160)));
            }
        }
        self.under_way.sort();
    }

    /// Ticks until the time; what was played: the packet's index, -1 for a lost one, -2 for nothing.
    fn play(&mut self, from: u64, until: u64) -> Vec<i64> {
        let mut played = Vec::new();
        for tick in (from..until).step_by(TICK as usize) {
            while let Some((at, sequence, timestamp)) = self.under_way.first().copied().filter(|next| next.0 <= tick) {
                self.under_way.remove(0);
                self.jitter
                    .push(self.began + Duration::from_micros(at), sequence, timestamp, &[1; 160]);
            }
            played.push(match self.jitter.pop(self.began + Duration::from_micros(tick)) {
                Played::Nothing => -2,
                Played::Packet { timestamp, payload } => {
                    assert_eq!(payload, [1; 160]);
                    i64::from(timestamp.wrapping_sub(u32::MAX - 5_000) / 160)
                }
                Played::Lost { ticks: 160, .. } => -1,
                Played::Lost { ticks, .. } => panic!("{ticks} ticks"),
            });
        }
        played
    }
}

fn packets(played: &[i64]) -> Vec<i64> {
    played.iter().copied().filter(|index| *index >= 0).collect()
}

#[test]
fn a_steady_stream_plays_whole_and_in_order_after_one_packet_of_delay() {
    let mut line = Line::new();
    line.send(0, 500, TICK, |_| Some(3_000));
    let played = line.play(7_000, 500 * TICK);
    assert_eq!(played[..2], [-2, 0]);
    assert_eq!(packets(&played), (0..499).collect::<Vec<_>>());
    assert_eq!(line.jitter.counts(), Counts::default());
}

#[test]
fn packets_out_of_order_and_doubled_play_once_and_in_order() {
    let mut line = Line::new();
    // Every fifth comes 30 ms late, behind its successor; and every seventh comes twice.
    line.send(0, 500, TICK, |index| Some(if index % 5 == 4 { 30_000 } else { 0 }));
    line.send(0, 500, TICK, |index| (index % 7 == 3).then_some(31_000));
    let played = line.play(7_000, 500 * TICK);
    let lost = played.iter().filter(|index| **index == -1).count();
    assert_eq!(lost, 0, "once learned, nothing is given up: {played:?}");
    let order = packets(&played);
    assert!(order.is_sorted() && order.len() > 495, "{}", order.len());
    let counts = line.jitter.counts();
    assert_eq!((counts.late + counts.duplicate, counts.lost), (71, 0), "{counts:?}");
}

#[test]
fn a_lost_packet_is_said_to_be_lost_in_its_turn_with_its_successor() {
    let mut line = Line::new();
    line.send(0, 500, TICK, |index| (index % 50 != 25).then_some(0));
    let played = line.play(7_000, 500 * TICK);
    let lost: Vec<usize> = (0..played.len()).filter(|tick| played[*tick] == -1).collect();
    assert_eq!(lost.len(), 10);
    assert!(lost.iter().all(|tick| played[tick + 1] == played[tick - 1] + 2));
    assert_eq!(line.jitter.counts().lost, 10);

    let (mut jitter, now) = (Jitter::new(8_000), line.began);
    for (sequence, payload) in [(0, [0]), (2, [2])] {
        jitter.push(now, sequence, u32::from(sequence) * 160, &payload);
    }
    let later = now + Duration::from_millis(80);
    assert!(matches!(jitter.pop(later), Played::Packet { payload: [0], .. }));
    assert_eq!(
        jitter.pop(later),
        Played::Lost {
            ticks: 160,
            next: Some(&[2])
        }
    );
    assert!(matches!(jitter.pop(later), Played::Packet { payload: [2], .. }));
}

#[test]
fn the_delay_follows_the_jitter_up_and_down() {
    let mut line = Line::new();
    let rough = |index: u16| Some(u64::from(index.wrapping_mul(7_919) % 80) * 1_000);
    line.send(0, 1_000, TICK, |index| {
        if (250..500).contains(&index) {
            rough(index)
        } else {
            Some(0)
        }
    });
    line.play(7_000, 250 * TICK);
    assert!(
        line.jitter.wanted() <= Duration::from_millis(25),
        "{:?}",
        line.jitter.wanted()
    );
    let played = line.play(250 * TICK + 7_000, 500 * TICK);
    let wanted = line.jitter.wanted();
    assert!(
        (Duration::from_millis(60)..Duration::from_millis(90)).contains(&wanted),
        "{wanted:?}"
    );
    let gaps = played[50..].iter().filter(|index| **index < 0).count();
    assert!(gaps <= 2, "{gaps} gaps once 80 ms of jitter are known: {played:?}");
    line.play(500 * TICK + 7_000, 1_000 * TICK);
    assert!(
        line.jitter.wanted() <= Duration::from_millis(25),
        "{:?}",
        line.jitter.wanted()
    );
    assert!(line.jitter.counts().left_out >= 2, "the delay shrinks again");
    assert!(line.jitter.packets.len() <= 3, "{} wait", line.jitter.packets.len());
}

#[test]
fn a_clock_that_drifts_costs_a_packet_now_and_then_and_no_more() {
    // 0.1 % is ten times worse than the worst sound card: 20 ms in 20 s.
    for (every, gaps_at_most, left_out) in [(19_980, 1, 8..=11), (20_020, 12, 0..=0)] {
        let mut line = Line::new();
        line.send(0, 10_100, every, |_| Some(0));
        let played = line.play(7_000, 200_000_000 - TICK);
        let gaps = played.iter().skip(1).filter(|index| **index < 0).count();
        assert!(gaps <= gaps_at_most, "{every}: {gaps} gaps");
        assert!(packets(&played).is_sorted());
        let counts = line.jitter.counts();
        assert!(left_out.contains(&counts.left_out), "{every}: {counts:?}");
        assert!(line.jitter.packets.len() <= 4, "{} wait", line.jitter.packets.len());
    }
}

#[test]
fn after_a_pause_or_in_a_new_stream_it_fills_again() {
    let mut line = Line::new();
    line.send(0, 50, TICK, |_| Some(0));
    line.play(7_000, 60 * TICK);
    // The sender's timestamps stood still for a minute.
    line.under_way = (50..100)
        .map(|i| {
            (
                60_000_000 + u64::from(i) * TICK,
                65_500_u16.wrapping_add(i),
                (u32::MAX - 5_000).wrapping_add(u32::from(i) * 160),
            )
        })
        .collect();
    let played = line.play(60_000_000 + 50 * TICK + 7_000, 60_000_000 + 100 * TICK);
    assert_eq!(played[..2], [-2, 50]);
    assert_eq!(packets(&played), (50..99).collect::<Vec<_>>());
    assert_eq!(line.jitter.counts().left_out, 0);
    // Another stream takes over, from the second packet on.
    let now = line.began + Duration::from_secs(90);
    assert_eq!(line.jitter.push(now, 20_000, 7, &[9]), Arrival::Strange);
    assert_eq!(line.jitter.push(now, 20_001, 167, &[9]), Arrival::Kept);
    let later = now + Duration::from_millis(50);
    assert_eq!(
        line.jitter.pop(later),
        Played::Packet {
            timestamp: 167,
            payload: &[9]
        }
    );
}

#[test]
fn packets_without_audio_are_neither_lost_nor_waited_for() {
    let mut line = Line::new();
    line.send(0, 10, TICK, |_| Some(0));
    line.play(0, 10 * TICK + 1);
    // A short key: three packets 20 ms apart, then its end twice more; the voice goes on after 60 ms.
    for (at, index) in [(10, 10), (11, 11), (12, 12), (12, 13), (12, 14)] {
        let now = line.began + Duration::from_micros(at * TICK);
        line.jitter.pass(65_500_u16.wrapping_add(index));
        if index < 13 {
            line.jitter.pop(now + Duration::from_millis(1));
        }
    }
    for index in 15..40_u16 {
        let at = u64::from(index - 2) * TICK;
        let timestamp = u32::MAX - 5_000;
        let timestamp = timestamp.wrapping_add(u32::from(index - 2) * 160);
        line.under_way.push((at, 65_500_u16.wrapping_add(index), timestamp));
    }
    let played = line.play(13 * TICK + 1_000, 38 * TICK);
    assert_eq!(line.jitter.counts(), Counts::default());
    let held = played.iter().take_while(|what| **what == -2).count();
    assert!(held <= 2, "{played:?}");
    assert!(played[held..].iter().all(|what| *what >= 0), "{played:?}");
    // Of a stream that nobody knows, or whose turn is over, they are nothing.
    line.jitter.pass(65_500);
    Jitter::new(8_000).pass(7);
    assert_eq!(line.jitter.counts(), Counts::default());
}

proptest! {
    #[test]
    fn no_order_of_packets_breaks_its_bounds(events in proptest::collection::vec((any::<u16>(), any::<u32>(), 0..50_000_u64, 0..3_u8), 1..400)) {
        let mut line = Line::new();
        let mut now = line.began;
        for (sequence, timestamp, later, pops) in events {
            now += Duration::from_micros(later);
            // Half of them near each other, as streams are.
            let sequence = if pops > 0 { sequence % 50 } else { sequence };
            line.jitter.push(now, sequence, timestamp, &[0; 20]);
            for _ in 0..pops {
                line.jitter.pop(now);
            }
            prop_assert!(line.jitter.packets.len() <= MOST_PACKETS);
            prop_assert!(line.jitter.spare.len() <= MOST_PACKETS);
            prop_assert!(line.jitter.packets.iter().is_sorted_by_key(|packet| packet.number));
        }
    }
}
