"""Rows of the name server: it is gone, slow or wrong, while calls to a trunk that is known by name go on."""

import socket
import struct
import threading
import time

from desk import Watched
from dialects.phone import wait_until
from invariants import Baseline, check
from room import PATIENCE, Room

MORE = """
[dns]
servers = ["{block}.53:5353"]
timeout_ms = 1500
avoid_s = 2

[[peer]]
name = "carrier"
match = ["{block}.60/32"]
auth = "none"

[[route]]
match = "^[0-9]+$"
to = "sip:gw.trunk.test:5060;transport=udp"
"""


# A question is waited for a tenth of `timeout_ms`: one of these comes in time, the other is as good as none.
DELAYS = {"slow": 0.1, "late": 1.0}


class NameServer:
    """A name server for A records of one second's life (RFC 1035), whose `manner` the test sets."""

    def __init__(self, host, zone):
        self.zone, self.manner, self.asked, self.closed = zone, "answers", 0, False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 5353))
        self.socket.settimeout(0.2)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self.closed = True

    def _serve(self):
        while not self.closed:
            try:
                octets, source = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            self.asked += 1
            answer = self._answer(octets)
            if answer and self.manner in DELAYS:
                threading.Timer(DELAYS[self.manner], self.socket.sendto, (answer, source)).start()
            elif answer:
                self.socket.sendto(answer, source)
        self.socket.close()

    def _answer(self, octets):
        at, labels = 12, []
        while octets[at]:
            labels.append(octets[at + 1:at + 1 + octets[at]].decode().lower())
            at += 1 + octets[at]
        kind, question = struct.unpack("!H", octets[at + 1:at + 3])[0], octets[12:at + 5]
        wanted = ".".join(labels)
        address = self.zone.get(wanted, self.zone["gw.trunk.test"] if wanted.endswith(".trunk.test") else None) if kind == 1 else None
        if self.manner == "gone":
            return None
        if self.manner == "babbles":
            return b"SIP/2.0 200 OK\r\n\r\n"
        if self.manner == "fails":
            return octets[:2] + bytes([0x85, 0x82]) + struct.pack("!4H", 1, 0, 0, 0) + question
        if self.manner == "forged" and address:
            # Another number than was asked with: whoever guesses must not be believed.
            octets = bytes([octets[0] ^ 0xFF, octets[1]]) + octets[2:]
        if self.manner == "wrong" and address:
            address = self.zone["wrong"]
        records = struct.pack("!HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(address) if address else b""
        return octets[:2] + bytes([0x85, 0x80]) + struct.pack("!4H", 1, bool(address), 0, 0) + question + records


def name_server(folder, manners=("gone", "slow", "late", "wrong")):
    """For each manner: the call that is up goes on, new calls and transfers to the name have an end, and afterwards all is well."""
    servers = []
    def serve(room):
        servers.append(NameServer(room.block.host(53), {"gw.trunk.test": room.block.host(60), "wrong": room.block.host(61)}))
    with Room(folder, more=MORE, before=serve, edge='reach = ["*.trunk.test"]') as room:
        server = servers[0]
        trunk = Watched("trunk", (room.host, 5060), "", host=room.block.host(60), port=5060, tone=350, crossing=room._crossed)
        try:
            room.warm_up()
            outside(room, trunk)
            baseline = Baseline(room)
            longest, ends, fresh = 0.0, [], []
            for manner in manners:
                server.manner = manner
                asked = server.asked
                room.talk()
                begun = time.monotonic()
                ends.append(one_call(room, trunk, "123"))
                # A name that was never heard of: nothing of old helps.
                fresh.append(one_call(room, trunk, f"sip:125@{manner}{len(fresh)}.trunk.test:5060;transport=udp"))
                assert server.asked > asked, f"{manner}: the name server was not asked: the row tested nothing"
                longest = max(longest, time.monotonic() - begun)
                before = decided(room)
                room.operator.refer("sip:124@example.test")
                end = time.monotonic() + 30
                while decided(room) == before and time.monotonic() < end:
                    answer_if_it_rings(trunk)
                    time.sleep(0.02)
                assert decided(room) == before + 1, f"{manner}: the transfer has no end"
                if room.live("operator"):
                    room.still_answers("undone")
                for call in [call for call in trunk.calls.values() if call.state != "ended"]:
                    call.hang_up()
                room.everybody_leaves()
                server.manner = "answers"
                time.sleep(3.1)         # for so long a failure is believed
                outside(room, trunk)
            room.talk()
            figures = check(room, baseline)
            figures.update({"known_name": "/".join(map(str, ends)), "new_name": "/".join(map(str, fresh)), "longest_s": round(longest, 1)})
            # RFC 3261 §21.5: it must be told, by a status of our own; a caller who waits for ever is worse off.
            assert all(end in (200, 404, 408, 480, 500, 502, 503, 504) for end in ends + fresh), (ends, fresh)
            # Nobody said where it is: whoever claims to have called it has believed a forger.
            assert all((end == 200) == (manner == "slow") for manner, end in zip(manners, fresh)), (manners, fresh)
            # A call for each kind of name, and the look-up's own 1.5 s in each.
            assert longest < 20, f"two callers waited {longest:.1f} s"
            return figures
        finally:
            trunk.close()
            server.close()


def decided(room):
    return sum(event["event"] in ("transfer.completed", "transfer.failed") for event in room.edge.data())


def answer_if_it_rings(trunk):
    if not trunk.new.empty():
        trunk.new.get().answer()


def one_call(room, trunk, number):
    """What came of it: 200 where the trunk was reached by what is known of old, else the refusal."""
    call = room.phones["consult"].call(number)
    end = time.monotonic() + 30
    while call.state not in ("confirmed", "ended") and time.monotonic() < end:
        answer_if_it_rings(trunk)
        time.sleep(0.02)
    status = 200 if call.state == "confirmed" else call.status
    assert call.state in ("confirmed", "ended"), "a call to a name has no end"
    call.hang_up()
    return status


def outside(room, trunk, seconds=30):
    """A call to the trunk, which is reached by its name; a wrong answer is believed for the five seconds that it lives at least."""
    end = time.monotonic() + seconds
    while (status := one_call(room, trunk, "120")) != 200:
        assert time.monotonic() < end, f"the trunk is not reached by its name: {status}"
        room.everybody_leaves()
    wait_until(lambda: all(call.state == "ended" for call in trunk.calls.values()), PATIENCE, "the trunk is left alone")
    room.everybody_leaves()
