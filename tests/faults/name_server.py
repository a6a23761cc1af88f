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
            if answer and self.manner == "slow":
                threading.Timer(1.0, self.socket.sendto, (answer, source)).start()
            elif answer:
                self.socket.sendto(answer, source)
        self.socket.close()

    def _answer(self, octets):
        at, labels = 12, []
        while octets[at]:
            labels.append(octets[at + 1:at + 1 + octets[at]].decode().lower())
            at += 1 + octets[at]
        kind, question = struct.unpack("!H", octets[at + 1:at + 3])[0], octets[12:at + 5]
        address = self.zone.get(".".join(labels)) if kind == 1 else None
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


def name_server(folder, manners=("gone", "slow", "wrong")):
    """For each manner: the call that is up goes on, new calls and transfers to the name have an end, and afterwards all is well."""
    servers = []
    def serve(room):
        servers.append(NameServer(room.block.host(53), {"gw.trunk.test": room.block.host(60), "wrong": room.block.host(61)}))
    with Room(folder, more=MORE, before=serve) as room:
        server = servers[0]
        trunk = Watched("trunk", (room.host, 5060), "", host=room.block.host(60), port=5060, tone=350, crossing=room._crossed)
        try:
            room.warm_up()
            outside(room, trunk)
            baseline = Baseline(room)
            longest, ends = 0.0, []
            for manner in manners:
                server.manner = manner
                # What was learnt lives for a second.
                asked = server.asked
                room.talk()
                time.sleep(1.1)
                begun = time.monotonic()
                call = room.phones["consult"].call("123")
                if manner == "slow":
                    there = trunk.incoming(PATIENCE).answer()
                    call.wait("confirmed", PATIENCE)
                    there.wait("confirmed")
                    ends.append(200)
                    call.hang_up()
                else:
                    call.wait("ended", 30)
                    ends.append(call.status)
                longest = max(longest, time.monotonic() - begun)
                assert server.asked > asked, f"{manner}: the name server was not asked: the row tested nothing"
                room.operator.refer("sip:124@example.test")
                if manner == "slow":
                    trunk.incoming(PATIENCE).answer()
                    wait_until(lambda: not room.live("operator"), PATIENCE, f"{manner}: the transfer is done")
                else:
                    wait_until(lambda: len(failed(room)) == len(ends) - ends.count(200), 30, f"{manner}: the transfer fails")
                    room.still_answers("undone")
                for call in [call for call in trunk.calls.values() if call.state != "ended"]:
                    call.hang_up()
                room.everybody_leaves()
                server.manner = "answers"
                time.sleep(3.1)         # for so long a failure is believed
                outside(room, trunk)
            room.talk()
            figures = check(room, baseline)
            figures.update({"ends": "/".join(f"{manner} {end}" for manner, end in zip(manners, ends)), "longest_s": round(longest, 1)})
            # RFC 3261 §21.5: it must be told, by a status of our own; a caller who waits for ever is worse off.
            assert all(end in (200, 404, 408, 480, 500, 502, 503, 504) for end in ends), ends
            assert longest < 10, f"a caller waited {longest:.1f} s"
            return figures
        finally:
            trunk.close()
            server.close()


def failed(room):
    return [event for event in room.edge.data() if event["event"] == "transfer.failed"]


def outside(room, trunk):
    """A call to the trunk, which is reached by its name."""
    call = room.phones["consult"].call("120")
    there = trunk.incoming(PATIENCE).answer()
    call.wait("confirmed", PATIENCE)
    there.wait("confirmed")
    call.hang_up()
    there.wait("ended")
    room.everybody_leaves()
