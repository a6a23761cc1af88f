"""Rows of a real restart under phones on connections: SIGKILL, the phones notice, connect and register again, and go on."""

import select
import socket
import ssl
import threading
import time

from dialects.phone import wait_until
from invariants import check
from room import PATIENCE, Room
from wired import Wired

BACK_WITHIN = 5.0
PORTS = {"tcp": 5060, "ws": 5080, "tls": 5061, "wss": 5081}
# Who comes by WebSocket is taken for a browser, and these phones have no DTLS: descriptions pass.
MODES = {"tcp": "relay", "tls": "relay", "ws": "off", "wss": "off"}
SEALED = """
[[listen]]
transport = "tls"
address = "{host}:5061"

[[listen]]
transport = "wss"
address = "{host}:5081"
"""


class Guarded:
    """A TLS stream that one thread reads and others write: one of them at a time, for the library's state is one."""

    def __init__(self, stream):
        self.stream, self.lock = stream, threading.Lock()

    def recv(self, size):
        if not self.stream.pending() and not select.select([self.stream], [], [], 0.2)[0]:
            raise TimeoutError
        with self.lock:
            return self.stream.recv(size)

    def sendall(self, octets):
        with self.lock:
            self.stream.sendall(octets)

    def close(self):
        self.stream.close()


class Sealed(Wired):
    """The same by TLS, or by WebSocket over it; whose certificate that is, is no matter here."""

    def __init__(self, name, edge, password, kind, **more):
        self.outside = {"tls": "TLS", "wss": "WSS"}[kind]
        super().__init__(name, edge, password, kind={"tls": "tcp", "wss": "ws"}[kind], **more)
        if kind == "tls":
            self.contact = f"<sip:{name}@{self.host};transport=tls>"

    def connect(self):
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        plain.settimeout(5)
        plain.bind((self.address[0], 0))
        plain.connect(self.edge)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        stream = context.wrap_socket(plain)
        if self.kind == "ws":
            self._upgrade(stream)
        stream.settimeout(0.1)
        with self.changed:
            self.stream = Guarded(stream)
            self.changed.notify_all()

    def _transmit(self, text):
        if not text.startswith("SIP/2.0"):
            text = text.replace("Via: SIP/2.0/UDP", f"Via: SIP/2.0/{self.outside}", 1)
        super()._transmit(text)


def phones_by(kind):
    made = Sealed if kind in ("tls", "wss") else Wired

    def make(name, room, host, tone):
        return made(name, (room.host, PORTS[kind]), "secret", kind=kind, host=host, tone=tone, crossing=room._crossed)
    return make


def restarted(folder, kind="tcp", rounds=1):
    """The edge is killed in mid-call. Each phone comes back by itself; from then on either party can hold, is held, is heard,
    and can hand the call over; there is one record of it all."""
    more = SEALED.format(host="{block}.1") if kind in ("tls", "wss") else ""
    with Room(folder, phones=phones_by(kind), mode=MODES[kind], more=more) as room:
        longest = restart = 0.0
        for number in range(rounds):
            room.talk()
            room.customer.hears(room.tone("operator"))
            room.kill()
            room.start_again()
            restart = max(restart, room.restart_ms)
            for phone in room.phones.values():
                phone.wait_until_cut_off()
            for phone in room.phones.values():
                phone.come_back()
            begun = time.monotonic()
            for one, other in ((room.operator, room.customer), (room.customer, room.operator)):
                one.hold()
                wait_until(lambda: other.direction == "recvonly", PATIENCE, "the other party is held on its new connection")
                room._acknowledged(one)
                one.unhold()
                wait_until(lambda: other.direction == "sendrecv", PATIENCE, "the other party is held no more")
                room._acknowledged(one)
                if one is room.operator:
                    longest = max(longest, time.monotonic() - begun)
            room.still_answers("undone")
            room.transfer("blind")
            verdict = room.settle()
            assert verdict == "done", f"the transfer after the restart is {verdict}"
            room.still_answers("done")
            if number < rounds - 1:
                room.everybody_leaves()
        figures = check(room, restarted=True)
        assert figures["records"] == rounds, f"{figures['records']} call records of {rounds} calls"
        figures["restart_ms"], figures["back_s"] = restart, round(longest, 2)
        assert longest <= BACK_WITHIN, f"{longest:.1f} s until a dialog was on its new connection, {BACK_WITHIN} allowed"
        return figures
