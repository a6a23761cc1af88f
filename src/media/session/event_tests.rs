#![expect(clippy::disallowed_methods, reason = "an Instant to count from; nothing waits")]

use super::*;

fn event(code: u8, end: bool, duration: u16) -> KeyEvent {
    KeyEvent {
        code,
        end,
        volume: 10,
        duration,
    }
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_key_is_told_once_at_its_end() {
    let start = Instant::now();
    let mut keys = Keys::default();
    let mut told = Vec::new();
    // 5 and again 5, each with three ends, then a # whose ends are all lost.
    for (timestamp, code) in [(100, 5), (2_000, 5), (4_000, 11)] {
        for (end, duration) in [(false, 160), (false, 320), (true, 800), (true, 800), (true, 800)] {
            if code == 11 && end {
                continue;
            }
            let found = keys.packet(start, timestamp, event(code, end, duration), 8_000);
            told.extend(found.into_iter().flatten());
        }
    }
    let five = Pressed {
        key: '5',
        milliseconds: 100,
    };
    assert_eq!(told, [five, five]);
    assert_eq!(keys.time(start + millis(100)), None);
    let hash = Pressed {
        key: '#',
        milliseconds: 40,
    };
    assert_eq!(keys.time(start + millis(250)), Some(hash));
    assert_eq!(keys.time(start + millis(900)), None);
    // Its end comes after all: it was told.
    assert_eq!(keys.packet(start, 4_000, event(11, true, 800), 8_000), [None, None]);
}

#[test]
fn an_event_that_is_no_key_is_not_told() {
    let mut keys = Keys::default();
    assert_eq!(
        keys.packet(Instant::now(), 1, event(16, true, 800), 8_000),
        [None, None]
    );
}

#[test]
fn durations_follow_the_clock() {
    assert_eq!(event(1, true, 800).rescaled(8_000, 48_000), event(1, true, 4_800));
    assert_eq!(event(1, true, 4_800).rescaled(48_000, 8_000), event(1, true, 800));
    assert_eq!(event(1, true, 60_000).rescaled(8_000, 48_000).duration, 0xffff);
    assert_eq!(KeyEvent::read(&event(7, true, 800).octets()), Some(event(7, true, 800)));
    assert_eq!(KeyEvent::read(&[1, 2, 3]), None);
}

#[test]
fn keys_that_we_press_read_back_as_pressed() {
    let start = Instant::now();
    let mut pressing = Pressing::default();
    pressing.press(start, "1x*d");
    let (mut keys, mut told, mut times) = (Keys::default(), Vec::new(), Vec::new());
    let mut packets = 0;
    while let Some(at) = pressing.deadline() {
        let Some(due) = pressing.due(at, 20, 48_000) else {
            continue;
        };
        let timestamp = due.timestamp.unwrap_or((at - start).as_millis() as u32 * 48);
        pressing.begun(timestamp);
        assert_eq!(due.marker, due.timestamp.is_none());
        packets += 1;
        for pressed in keys.packet(at, timestamp, due.event, 48_000).into_iter().flatten() {
            told.push((pressed.key, pressed.milliseconds));
            times.push((at - start).as_millis());
        }
    }
    assert_eq!(told, [('1', 100), ('*', 100), ('D', 100)]);
    // 20, 40, 60, 80 ms and three ends each.
    assert_eq!(packets, 3 * 7);
    assert_eq!(times, [80, 280, 480]);
    assert!(!pressing.is_busy());
}
