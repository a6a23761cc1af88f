"""Three phones with voices at an edge that keeps what it has, and a hand that kills it at a chosen message."""

import json
import os
import signal
import subprocess
import threading
import time

from dialects.phone import Call, Phone, wait_until
from rig.edge import Edge
from rig.net import Block

TONES = {"customer": 440, "operator": 697, "consult": 1209}
CONFIGURATION = """\
[edge]
domain = "example.test"

[[listen]]
transport = "udp"
address = "{host}:5060"

[store]
path = "{store}"
durability = "{durability}"

[media]
mode = "{mode}"

[records]
file = "{records}"
"""
USER = """
[[user]]
name = "{name}"
password = "secret"
"""


class Watched(Phone):
    """Says which messages cross, before it acts on what came and after it has sent."""

    def __init__(self, *rest, crossing=lambda *_: None, **more):
        self.crossing = crossing
        super().__init__(*rest, **more)

    def _transmit(self, text):
        super()._transmit(text)
        self.crossing(self.name, ">", text.splitlines()[0])

    def _handle(self, message):
        self.crossing(self.name, "<", message.start)
        super()._handle(message)


def watch_gap(call):
    """Notes when sound arrives from now on; the function that comes back gives the longest silence so far, in seconds."""
    arrivals = [time.monotonic()]
    tick = call._tick

    def noted(tone):
        before = len(call.heard)
        tick(tone)
        # `heard` is cut to the last two seconds: a full one that stays full has taken something, too.
        if len(call.heard) != before or (call.heard and before >= 16_000 and call.media):
            arrivals.append(time.monotonic())
    call.heard.clear()
    call._tick = noted

    def longest():
        times = arrivals + [time.monotonic()]
        return max(later - earlier for earlier, later in zip(times, times[1:]))
    return longest


Call.watch_gap = watch_gap


class Desk:
    def __init__(self, folder, relay=False, durability="relaxed"):
        self.folder, self.block = folder, Block()
        self.host = self.block.host(1)
        folder.mkdir(parents=True, exist_ok=True)
        self.configuration = CONFIGURATION.format(host=self.host, store=folder / "store.db", mode="relay" if relay else "auto",
                                                  durability=durability,
                                                  records=folder / "calls.jsonl")
        self.configuration += "".join(USER.format(name=name) for name in TONES)
        self.edge = Edge(self.host, self.configuration, folder)
        self.people()

    def people(self):
        folder = self.folder
        self.phones, self.count, self.point = {}, 0, None
        self.killed, self.restart_ms = threading.Event(), None
        self.lock, self.ladder = threading.Lock(), open(folder / "ladder.log", "w", encoding="utf-8")
        for at, (name, tone) in enumerate(TONES.items()):
            phone = Watched(name, (self.host, 5060), "secret", host=self.block.host(21 + at), tone=tone, crossing=self._crossed)
            self.phones[name] = phone
            phone.register()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for phone in self.phones.values():
            phone.close()
        self.edge.stop()
        self.block.release()
        self.ladder.close()

    def tone(self, name):
        return TONES[name]

    # --- the hand ----------------------------------------------------------------------------------------------------

    def _crossed(self, name, way, line):
        with self.lock:
            try:
                self.ladder.write(f"{time.monotonic():.3f} {name} {way} {line}\n")
                self.ladder.flush()
            except ValueError:
                return
            if self.point is None or self.killed.is_set():
                return
            self.count += 1
            if self.count == self.point:
                self.kill()

    def kill_at(self, point):
        self.count, self.point = 0, point

    def kill(self):
        if not self.killed.is_set():
            os.kill(self.edge.process.pid, signal.SIGKILL)
            self.killed.set()
            self.ladder.write(f"{time.monotonic():.3f} KILLED\n")

    def wait_until_killed(self, seconds):
        return self.killed.wait(seconds)

    def start_again(self):
        self.edge.process.wait()
        self.edge._log.close()
        begun = time.monotonic()
        self.edge = Edge(self.host, self.configuration, self.folder / "again")
        self.restart_ms = round(1000 * (time.monotonic() - begun))
        with self.lock:
            self.ladder.write(f"{time.monotonic():.3f} STARTED AGAIN\n")

    def consulted(self):
        """Whether the operator talks with the consult in a call of its own."""
        return len(self.live("operator")) > 1

    def records(self, wanted, seconds=15):
        """One line for each customer's call, in the file, each complete; `wanted`: how many."""
        path = self.folder / "calls.jsonl"
        lines = []

        def all_there():
            lines[:] = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            return len(lines) >= wanted
        wait_until(all_there, seconds, f"{wanted} call records are written")
        records = [json.loads(line) for line in lines]
        told = [f"{record['id']} {record['from']} {record['to']}" for record in records]
        assert len(records) == wanted, f"{len(records)} records, not {wanted}: {told}"
        assert len({record["id"] for record in records}) == wanted, f"one record is there twice: {told}"
        for record in records:
            assert record["ended_at"] and record["cause"] and all(leg["ended_at"] for leg in record["legs"]), record
            assert all(asked["outcome"] for asked in record["transfers"]), record
        return records

    # --- the people --------------------------------------------------------------------------------------------------

    def talk(self):
        """The customer calls the operator, who answers."""
        out = self.phones["customer"].call("operator")
        there = self.phones["operator"].incoming()
        there.answer()
        out.wait("confirmed")
        there.wait("confirmed")
        self.customer, self.operator = out, there
        return out, there

    def live(self, name):
        return [call for call in self.phones[name].calls.values() if call.state not in ("ended",)]

    def settle(self, seconds=40):
        """Waits until the transfer is done or undone, and says which."""
        def verdict():
            customer, consult = self.live("customer"), self.live("consult")
            operator = self.live("operator")
            if len(customer) == 1 and len(consult) == 1 and not operator:
                return "done"
            if len(customer) == 1 and len(operator) == 1 + len(consult) and all(call.state == "confirmed" for call in operator):
                return "undone"
            return None
        end, since, last = time.monotonic() + seconds, time.monotonic(), None
        while time.monotonic() < end:
            now = verdict()
            if now != last:
                last, since = now, time.monotonic()
            # A phone that was not answered asks again for up to four seconds.
            if last and time.monotonic() - since > (1.0 if last == "done" else 5.0):
                return last
            time.sleep(0.05)
        raise AssertionError("neither done nor undone: " + ", ".join(
            f"{name} {[call.state for call in self.live(name)]}" for name in TONES))

    def still_answers(self, verdict):
        """Those who talk hear each other, and each can hold the other and take it back."""
        pair = ("customer", "consult") if verdict == "done" else ("customer", "operator")
        calls = [self.customer, (self.live("consult")[0] if verdict == "done" else self.operator)]
        if verdict == "undone" and self.operator.wanted == "sendonly":
            # She held the customer before the transfer, and does so still.
            self.operator.wanted = "sendrecv"
            self.operator.unhold()
            self._acknowledged(self.operator)
        for call, beyond in zip(calls, reversed(pair)):
            call.hears(TONES[beyond])
        for call, beyond in zip(calls, reversed(calls)):
            call.hold()
            wait_until(lambda: beyond.direction == "recvonly", 8, "the other side knows that it is held")
            self._acknowledged(call)
            call.unhold()
            wait_until(lambda: beyond.direction == "sendrecv", 8, "the other side knows that it is held no more")
            self._acknowledged(call)

    def _acknowledged(self, call):
        """The edge has answered, and has the ACK: a re-INVITE right behind another one is answered 491."""
        wait_until(lambda: not any(key[0] == call.call_id for key in list(call.phone.pending)), 8, "the edge answers a re-INVITE")
        time.sleep(0.3)

    def everybody_leaves(self):
        for name in TONES:
            for call in self.live(name):
                call.hang_up()
        wait_until(lambda: not any(self.live(name) for name in TONES), 8, "everybody has left")
        left = {}

        def empty():
            left.update(self.edge.gauges())
            return not any(left[f"warmline_{what}"] for what in ("calls", "dialogs", "transfers"))
        wait_until(empty, 8, lambda: f"left in the edge: {left}")


def blind(desk, prepare):
    """The operator sends the customer to the consult, who answers after a moment."""
    if prepare:
        desk.talk()
        return
    desk.operator.refer("sip:consult@example.test")

    def answer():
        try:
            call = desk.phones["consult"].incoming(8)
            time.sleep(0.15)
            call.answer()
        except AssertionError:
            pass  # the edge died before it had called
    threading.Thread(target=answer, daemon=True).start()


def attended(desk, prepare):
    """The operator holds the customer, talks with the consult, and brings both together."""
    if prepare:
        desk.talk()
        desk.operator.hold()
        wait_until(lambda: desk.customer.direction == "recvonly", 8, "the customer is held")
        desk.consult = desk.phones["operator"].call("consult")
        desk.phones["consult"].incoming().answer()
        desk.consult.wait("confirmed")
        time.sleep(0.1)
        return
    desk.operator.refer(desk.consult.target, replaces=desk.consult)
