//! Session descriptions: read, turned, checked, and answered by an endpoint of ours.

use bytes::Bytes;
use warmline::media::describe::{self, Kind};
use warmline::sdp::{Description, Direction, answer_direction};
use warmline::sip::Limits;

pub(super) fn run(octets: &[u8]) {
    let Ok(description) = Description::parse(Bytes::copy_from_slice(octets)) else {
        return;
    };
    assert!(description.bytes().len() <= Limits::DEFAULT.sdp);
    assert!(description.media_count() <= Limits::DEFAULT.media_lines);
    let _ = (
        description.media_address(),
        description.direction(),
        description.protection(),
    );
    let _ = (description.uses_ice(), Kind::of(&description));
    assert_eq!(
        Description::parse(description.bytes().clone()).as_ref(),
        Ok(&description)
    );
    for direction in [Direction::SendRecv, Direction::SendOnly, Direction::Inactive] {
        let turned = description.with_direction(direction);
        assert!(turned.same_media(&description));
        assert_eq!(turned.media_count(), description.media_count());
        assert_eq!(turned.with_direction(direction), turned);
        let _ = answer_direction(description.direction(), direction);
    }
    // LESSONS 42: the version is a number of 64 bits, and any of them may come.
    let renamed = description.with_origin(u64::MAX, u64::MAX);
    assert!(renamed.same_media(&description));
    if describe::check(&description).is_ok() {
        super::media::described(&description);
    }
}
