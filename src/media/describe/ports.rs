//! The ports of plain endpoints: even ones, each with the odd one behind it for RTCP (RFC 3550 §11).

use std::collections::VecDeque;

/// The even ports of a range. One that was given back is taken last, so that packets meant for its former leg have died out.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    first: u32,
    next: u32,
    last: u32,
    back: VecDeque<u16>,
    taken: usize,
    /// Another process of the edge has them.
    avoided: Vec<u16>,
}

impl Ports {
    /// Those from `first` to `last`, whose RTCP port must fit as well.
    pub(super) fn new(first: u16, last: u16) -> Ports {
        Ports {
            first: u32::from(first),
            next: u32::from(first).next_multiple_of(2),
            last: u32::from(last),
            back: VecDeque::new(),
            taken: 0,
            avoided: Vec::new(),
        }
    }

    pub(super) fn take(&mut self) -> Option<u16> {
        let fresh = u16::try_from(self.next).ok().filter(|_| self.next < self.last);
        let port = match fresh {
            Some(port) => {
                self.next += 2;
                port
            }
            None => self.back.pop_front()?,
        };
        self.taken += 1;
        Some(port)
    }

    pub(super) fn give_back(&mut self, port: u16) {
        self.taken = self.taken.saturating_sub(1);
        self.back.push_back(port);
    }

    /// The very port of an end of a process before this one; `false`: it is not in the range, or somebody has it.
    pub(super) fn take_back(&mut self, port: u16) -> bool {
        let wanted = u32::from(port);
        if !port.is_multiple_of(2) || wanted >= self.last || (wanted < self.first) {
            return false;
        }
        // Those that are passed over are free; and of a range that begins anew all that are behind are taken or free.
        while self.next <= wanted {
            self.back.push_back(self.next as u16);
            self.next += 2;
        }
        let free = self.back.iter().position(|free| *free == port);
        if let Some(at) = free {
            self.back.remove(at);
            self.taken += 1;
        }
        free.is_some()
    }

    /// These are not given until [`Ports::allow`].
    pub(super) fn avoid(&mut self, ports: &[u16]) {
        for port in ports {
            if self.take_back(*port) {
                self.lose();
                self.avoided.push(*port);
            }
        }
    }

    pub(super) fn allow(&mut self) {
        self.back.extend(self.avoided.drain(..));
    }

    /// One that another program has is never offered again.
    pub(super) fn lose(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    pub(super) fn taken(&self) -> usize {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::Ports;

    #[test]
    fn a_port_that_was_taken_back_is_given_to_nobody_else() {
        let mut ports = Ports::new(20_000, 20_007);
        assert!(ports.take_back(20_004) && !ports.take_back(20_004));
        let mut rest: Vec<u16> = std::iter::from_fn(|| ports.take()).collect();
        rest.sort_unstable();
        assert_eq!((rest.as_slice(), ports.taken()), (&[20_000, 20_002, 20_006][..], 4));
    }

    #[test]
    fn every_even_port_with_room_for_rtcp_is_given_once() {
        let mut ports = Ports::new(20_001, 20_007);
        assert_eq!(
            [ports.take(), ports.take(), ports.take(), ports.take()],
            [Some(20_002), Some(20_004), Some(20_006), None]
        );
        ports.give_back(20_004);
        ports.give_back(20_002);
        assert_eq!((ports.take(), ports.taken()), (Some(20_004), 2));
        let mut beside = Ports::new(20_000, 20_005);
        beside.avoid(&[20_000, 20_002]);
        assert_eq!((beside.take(), beside.take(), beside.taken()), (Some(20_004), None, 1));
        beside.allow();
        assert_eq!(beside.take(), Some(20_000));
        assert_eq!(Ports::new(65_534, 65_535).take(), Some(65_534));
        assert_eq!(Ports::new(65_535, 65_535).take(), None);
    }
}
