"""Rows of too much: garbage, requests of strangers, repetitions, and parties that never say goodbye."""

import random
import socket
import threading
import time

from desk import Watched
from dialects.phone import wait_until
from invariants import Baseline, check, resident
from room import PATIENCE, Room

STRICT = """
[limits]
allow = ["{block}.20/30", "{block}.24/32"]
requests_per_minute = 6000
requests_burst = 1000
"""
OPEN = """
[limits]
requests_per_minute = 0
calls_per_minute = 0
failures = 0
"""


def garbage(seed):
    """Octets of all kinds: noise, the beginnings of messages, STUN that is none, and a request with a header that cannot be."""
    dice = random.Random(seed)
    noise = [dice.randbytes(dice.randrange(1, 1_200)) for _ in range(40)]
    noise += [b"INVITE sip:a@b SIP/2.0\r\n" + dice.randbytes(200) for _ in range(10)]
    noise += [b"\x00\x01\x00\x08\x21\x12\xa4\x42" + dice.randbytes(20), b"SIP/2.0 200 OK\r\n\r\n", b"BYE sip:x SIP/2.0\r\nVia : x\r\n\r\n"]
    return noise


def request(method, number, host, edge):
    return (f"{method} sip:{'operator@' if method == 'INVITE' else ''}example.test SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:5060;rport;branch=z9hG4bKf{number}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:customer@example.test>;tag=f{number}\r\nTo: <sip:{'operator' if method == 'INVITE' else 'customer'}@example.test>\r\n"
            f"Call-ID: flood-{number}\r\nCSeq: 1 {method}\r\nContact: <sip:customer@{host}:5060>\r\nContent-Length: 0\r\n\r\n").encode()


class Flood:
    """Sends to the edge from addresses of its own until it is told to stop, at so many a second."""

    def __init__(self, room, make, rate, sources=(99,)):
        self.room, self.make, self.rate, self.sent, self.stopped = room, make, rate, 0, threading.Event()
        self.sockets = []
        for last in sources:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind((room.block.host(last), 0))
            made.setblocking(False)
            self.sockets.append(made)
        self.answers = 0

    def __enter__(self):
        self.begun = time.monotonic()
        self.thread = threading.Thread(target=self._send, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        for made in self.sockets:
            made.close()

    def _send(self):
        to, number = (self.room.host, 5060), 0
        while not self.stopped.is_set():
            due = int((time.monotonic() - self.begun) * self.rate)
            for _ in range(min(max(due - self.sent, 0), 2_000)):
                made = self.sockets[number % len(self.sockets)]
                try:
                    made.sendto(self.make(number), to)
                except OSError:
                    pass
                number += 1
                self.sent += 1
            for made in self.sockets:
                try:
                    while True:
                        made.recv(65535)
                        self.answers += 1
                except OSError:
                    pass
            time.sleep(0.001)

    def rate_so_far(self):
        return round(self.sent / (time.monotonic() - self.begun))


def flooded(room, make, rate, seconds, sources=(99,)):
    """A transfer is carried out while it pours; what is left of the time is waited for."""
    with Flood(room, make, rate, sources) as flood:
        begun = time.monotonic()
        room.talk()
        before = decided(room)
        room.transfer("blind")
        # What the flood pushes out of a full socket is said again; the network decides when it is heard.
        wait_until(lambda: decided(room) > before, 40, "the transfer in the flood has an end")
        took = time.monotonic() - begun
        while time.monotonic() - flood.begun < seconds:
            time.sleep(0.05)
        figures = {"sent": flood.sent, "per_second": flood.rate_so_far(), "answered": flood.answers, "transfer_s": round(took, 1)}
    verdict = room.settle()
    room.still_answers(verdict)
    return figures | {"verdict": verdict}


def decided(room):
    return sum(event["event"] in ("transfer.completed", "transfer.failed") for event in room.edge.data())


def garbage_flood(folder, rate=100_000, seconds=2):
    with Room(folder, log="error") as room:
        room.warm_up()
        for phone in room.phones.values():
            phone.stubborn = 32
        noise = garbage(1)
        def make(number):
            return noise[number % len(noise)]
        # What a flood needs once, buffers above all, belongs to the warm-up.
        with Flood(room, make, rate) as flood:
            wait_until(lambda: flood.sent > 30_000, 30, "the warm-up's garbage")
        baseline = Baseline(room)
        poured = flooded(room, make, rate, seconds)
        figures = check(room, baseline)
        assert poured["sent"] >= 10_000, "too little garbage: the row tested nothing"
        return figures | poured


def request_flood(folder, method="REGISTER", limits=True, rate=2_000, seconds=3):
    """Requests of a stranger, each a new one. With limits they get nothing beyond their measure; without them an answer each."""
    with Room(folder, more=STRICT if limits else OPEN, log="error") as room:
        room.warm_up()
        host = room.block.host(99)
        def make(number):
            return request(method, f"{room.block.number}-{time.monotonic_ns()}", host, room.host)
        with Flood(room, make, rate) as flood:
            wait_until(lambda: flood.sent > rate, 30, "the warm-up's flood")
        baseline = Baseline(room)
        registrations = registered(room)
        poured = flooded(room, make, rate, seconds)
        assert registered(room) == registrations, "a stranger has registered"
        figures = check(room, baseline) | poured
        if limits:
            assert poured["answered"] < poured["sent"] / 2, f"{poured['answered']} of {poured['sent']} were answered: there is no limit"
        else:
            assert poured["answered"], "nothing was answered: the row tested nothing"
        return figures


def registered(room):
    _, listed = room.edge.request("GET", "/v1/registrations")
    return len(listed["registrations"])


class Repeating(Watched):
    """Every request, `times` over."""

    times = 1

    def _transmit(self, text):
        again = 1 if text.startswith("SIP/2.0") or text.startswith("ACK") else self.times
        for number in range(again):
            super()._transmit(text)
            if number % 50 == 49:
                time.sleep(0.002)


def repeated(folder, times=1_000):
    """An INVITE, a REFER and a BYE, each a thousand times: one call, one transfer, one end; and one answer's worth of state."""
    def phone(name, room, host, tone):
        return Repeating(name, (room.host, 5060), "secret", host=host, tone=tone, crossing=lambda *_: None)
    with Room(folder, phones=phone, log="error") as room:
        room.warm_up()
        baseline = Baseline(room)
        calls = count(room, "call.started")
        transfers, ends = count(room, "transfer.requested"), count(room, "call.ended")
        for phone in room.phones.values():
            phone.times = times
        room.talk()
        most = room.edge.gauges()
        room.transfer("blind")
        assert room.settle() == "done"
        for phone in room.phones.values():
            phone.times = 1
        room.still_answers("done")
        kb = resident(room.edge)
        figures = check(room, baseline)
        made = (count(room, "call.started") - calls, count(room, "transfer.requested") - transfers, count(room, "call.ended") - ends)
        assert made == (1, 1, 1), f"calls, transfers, ends: {made}"
        assert most["warmline_calls"] == 1 and most["warmline_dialogs"] == 2, f"{most} after one INVITE, repeated"
        figures.update({"repeated": times, "transactions": int(most["warmline_transactions"]), "kb_more": kb - baseline.kb})
        return figures


def count(room, name):
    return sum(event["event"] == name for event in room.edge.data())


class Silent(Watched):
    """A phone that can be switched off: nothing leaves it, nothing is heard."""

    off = False

    def _transmit(self, text):
        if not self.off:
            super()._transmit(text)

    def _handle(self, message):
        if not self.off:
            super()._handle(message)


def no_bye(folder, calls=3):
    """Both ends of calls vanish without a BYE: session timers (RFC 4028, the shortest there are) end them, and nothing is left."""
    def phone(name, room, host, tone):
        return Silent(name, (room.host, 5060), "secret", host=host, tone=tone, crossing=room._crossed)
    with Room(folder, phones=phone, edge="session_expires_s = 90") as room:
        room.warm_up()
        baseline = Baseline(room)
        for _ in range(calls):
            room.talk()
        for phone in room.phones.values():
            phone.off = True
        begun = time.monotonic()
        wait_until(lambda: room.edge.gauges()["warmline_calls"] == 0, 120, lambda: f"the calls end by themselves: {room.edge.gauges()}")
        took = time.monotonic() - begun
        for phone in room.phones.values():
            phone.off = False
            phone.calls.clear()
            phone.register()
        room.talk()
        figures = check(room, baseline)
        figures.update({"calls": calls, "ended_after_s": round(took)})
        return figures
