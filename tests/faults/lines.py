"""Rows of connections: they are reset, dropped, left half open and cut into single octets, and many of them are never used."""

import resource
import select
import socket
import time

from dialects.phone import wait_until
from invariants import Baseline, check
from room import PATIENCE, Room
from wired import Wired

BACK_WITHIN = 5.0
PORTS = {"tcp": 5060, "ws": 5080}
# Who comes by WebSocket is taken for a browser, and these phones have no DTLS: descriptions pass.
MODES = {"tcp": "auto", "ws": "off"}


def phones_by(kind, chunk=0):
    def make(name, room, host, tone):
        return Wired(name, (room.host, PORTS[kind]), "secret", kind=kind, chunk=chunk, host=host, tone=tone, crossing=room._crossed)
    return make


def back_on(room, name):
    """The phone connects and registers again; seconds until a request of the other party's side reaches its dialog."""
    phone, call = room.phones[name], room.live(name)[0]
    begun = time.monotonic()
    phone.come_back()
    # The party asks within its dialog, and so does the edge on its behalf: both ways of the new connection are used.
    other = room.operator if call is room.customer else room.customer
    other.hold()
    wait_until(lambda: call.direction == "recvonly", PATIENCE, f"{name}, who has come back, is held by the other party")
    room._acknowledged(other)
    took = time.monotonic() - begun
    other.unhold()
    wait_until(lambda: call.direction == "sendrecv", PATIENCE, f"{name}, who has come back, is held no more")
    room._acknowledged(other)
    return took


def broken_lines(folder, kind="tcp", how="reset", rounds=1):
    """In mid-call, then in mid-transfer for each of the three phones: the connection breaks, and the phone comes back."""
    with Room(folder, phones=phones_by(kind), mode=MODES[kind]) as room:
        room.warm_up()
        baseline = Baseline(room)
        longest, verdicts = 0.0, []
        for _ in range(rounds):
            for name in ("customer", "operator"):
                room.talk()
                getattr(room.phones[name], how)()
                longest = max(longest, back_on(room, name))
                room.still_answers("undone")
                room.everybody_leaves()
            for name in ("operator", "customer", "consult"):
                room.talk()
                room.transfer("blind")
                wait_until(lambda: room.live("consult"), PATIENCE, "the consult's phone rings")
                getattr(room.phones[name], how)()
                room.phones[name].come_back()
                verdicts.append(room.settle())
                room.still_answers(verdicts[-1])
                room.everybody_leaves()
        room.talk()
        left_open = sum(len(phone.lost) for phone in room.phones.values())
        for phone in room.phones.values():
            phone.hang_up_lost()
        figures = check(room, baseline)
        figures["left_open"] = left_open
        figures["back_s"] = round(longest, 2)
        figures["verdicts"] = {verdict: verdicts.count(verdict) for verdict in set(verdicts)}
        assert longest <= BACK_WITHIN, f"{longest:.1f} s until a dialog was on its new connection, {BACK_WITHIN} allowed"
        return figures


def single_octets(folder, kind="tcp", transfers=2):
    with Room(folder, phones=phones_by(kind, chunk=1), mode=MODES[kind]) as room:
        room.warm_up()
        baseline = Baseline(room)
        for number in range(transfers):
            room.talk()
            room.transfer("attended" if number % 2 else "blind")
            assert room.settle() == "done"
            room.still_answers("done")
            if number < transfers - 1:
                room.everybody_leaves()
        return check(room, baseline)


class Loris:
    """Connections that begin a message and never end it, an octet at a time."""

    def __init__(self, room, size):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, size + 1_000)), hard))
        self.streams = []
        # 64 connections a source are let in: they come from so many sources that all of them are.
        for number in range(size):
            stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            stream.bind((room.block.host(100 + number % 150), 0))
            stream.setblocking(False)
            stream.connect_ex((room.host, PORTS["tcp"]))
            self.streams.append(stream)
            if number % 100 == 99:
                time.sleep(0.05)

    def dribble(self, octet):
        """Another octet each; how many connections have been ended by the edge."""
        ended, alive = 0, []
        for stream in self.streams:
            try:
                stream.send(octet)
                alive.append(stream)
            except BlockingIOError:
                alive.append(stream)
            except OSError:
                stream.close()
                ended += 1
        self.streams = alive
        return ended

    def close(self):
        for stream in self.streams:
            stream.close()


def slow_loris(folder, size=500):
    """So many connections that dribble, while calls are made and transferred over UDP and over TCP."""
    def phone(name, room, host, tone):
        if name == "consult":
            return phones_by("tcp")(name, room, host, tone)
        from desk import Watched
        return Watched(name, (room.host, 5060), "secret", host=host, tone=tone, crossing=room._crossed)
    with Room(folder, phones=phone) as room:
        room.warm_up()
        baseline = Baseline(room)
        # The places of connections in tables stay when the connections go: one such crowd belongs to the warm-up.
        for counted in (False, True):
            loris = Loris(room, size)
            try:
                ended, at, begun = 0, 0, time.monotonic()
                if counted:
                    room.talk()
                    room.transfer("blind")
                line = b"INVITE sip:operator@example.test SIP/2.0\r\nVia: SIP/2.0/TCP nobody"
                while loris.streams and time.monotonic() - begun < 30:
                    ended += loris.dribble(line[at % len(line):][:1])
                    at += 1
                    time.sleep(0.5)
                took = time.monotonic() - begun
            finally:
                loris.close()
            if not counted:
                from invariants import resident
                baseline.kb = max(baseline.kb, resident(room.edge))
        verdict = room.settle()
        assert verdict == "done", f"the transfer among them was {verdict}"
        room.still_answers(verdict)
        figures = check(room, baseline)
        figures.update({"connections": size, "ended_by_the_edge": ended, "after_s": round(took, 1)})
        assert ended == size, f"{ended} of {size} connections were ended by the edge within 30 s"
        return figures
