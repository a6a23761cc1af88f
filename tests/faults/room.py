"""A desk in the rain: the three phones of `desk.py` at an edge whose surroundings a row takes away, and what it has to say afterwards.

Timers are shortened by configuration (T1 is 100 ms), so that "60 seconds later" is some ten.
"""

import os
import time

from desk import TONES, USER, Desk, Watched
from dialects.phone import Call, _token, wait_until
from rig.edge import Edge
from rig.net import Block
import threading

# What stands for the edge's command line, for the proof that no row is content with a dead edge.
EDGE_COMMAND = None
PATIENCE = 15
CONFIGURATION = """\
[edge]
domain = "example.test"
{edge}

[[listen]]
transport = "udp"
address = "{host}:5060"

[[listen]]
transport = "tcp"
address = "{host}:5060"

[[listen]]
transport = "ws"
address = "{host}:5080"

[timers]
t1_ms = 100
t2_ms = 800
t4_ms = 1000
guard_ms = 2000

[ladder]
calls = 0

[records]
keep = 20000

[media]
mode = "{mode}"
{media}
"""
STORE = """
[store]
path = "{store}"
"""


class Room(Desk):
    """`phones`: what makes one, from (name, room, host, tone). `wrap`: words before the edge's command line.
    `before`: done with the room before its edge starts. `more`, `edge`, `media`: further configuration; `store`: where calls are kept, `None`: nowhere."""

    def __init__(self, folder, phones=None, wrap="", more="", edge="", media="", mode="auto", store="store.db", names=tuple(TONES),
                 log="info", register=True, before=None):
        self.folder, self.block = folder, Block()
        self.host = self.block.host(1)
        folder.mkdir(parents=True, exist_ok=True)
        place = {"host": self.host, "store": folder / store if store else "", "folder": folder, "block": f"127.0.{self.block.number}"}
        self.configuration = CONFIGURATION.format(host=self.host, edge=edge.format(**place), mode=mode, media=media.format(**place))
        self.configuration += STORE.format(**place) if store else ""
        self.configuration += "".join(USER.format(name=name) for name in names) + more.format(**place)
        self.wrap, self.log = wrap.format(**place), log
        self.phones, self.count, self.point, self.edges = {}, 0, None, []
        self.killed, self.restart_ms = threading.Event(), None
        self.edge = None
        self.lock, self.ladder = threading.Lock(), open(folder / "ladder.log", "w", encoding="utf-8")
        try:
            if before:
                before(self)
            self._start(folder)
            for at, name in enumerate(names):
                make = phones or (lambda name, room, host, tone: Watched(
                    name, (room.host, 5060), "secret", host=host, tone=tone, crossing=room._crossed))
                self.phones[name] = make(name, self, self.block.host(21 + at), TONES.get(name, 440))
                if register:
                    self.phones[name].register()
        except BaseException:
            self.__exit__()
            raise

    def _start(self, folder):
        os.environ["RUST_LOG"] = self.log
        command = EDGE_COMMAND
        if not command and self.wrap:
            from rig.edge import binary
            command = f"{self.wrap} {binary()} run --config"
        self.edge = Edge(self.host, self.configuration, folder, command)
        self.edges.append(self.edge)

    def __exit__(self, *_):
        for phone in self.phones.values():
            phone.close()
        if self.edge:
            self.edge.stop()
        self.block.release()
        self.ladder.close()

    def start_again(self):
        self.edge.process.wait()
        self.edge._log.close()
        self.killed.clear()
        self.point = None
        begun = time.monotonic()
        self._start(self.folder / f"again-{len(self.edges)}")
        self.restart_ms = round(1000 * (time.monotonic() - begun))
        with self.lock:
            self.ladder.write(f"{time.monotonic():.3f} STARTED AGAIN\n")

    # --- what people do ----------------------------------------------------------------------------------------------

    def warm_up(self):
        """A call and a transfer, so that what is made once is made; and what is there then is what may be there later."""
        self.talk()
        self.transfer("blind")
        assert self.settle() == "done", "the transfer before the fault"
        self.everybody_leaves()

    def transfer(self, kind):
        """Begins a transfer of the call that `talk` began; `settle` says what came of it."""
        if kind == "blind":
            self.operator.refer("sip:consult@example.test")
            threading.Thread(target=self._answer_at, args=("consult",), daemon=True).start()
            return
        self.operator.hold()
        wait_until(lambda: self.customer.direction == "recvonly", PATIENCE, "the customer is held")
        self._acknowledged(self.operator)
        consult = self.phones["operator"].call("consult")
        self._answer_at("consult")
        consult.wait("confirmed", PATIENCE)
        self._acknowledged(consult)
        self.operator.refer(consult.target, replaces=consult)

    def _answer_at(self, name, seconds=PATIENCE):
        try:
            call = self.phones[name].incoming(seconds)
            time.sleep(0.1)
            call.answer()
        except AssertionError:
            pass  # it was never called: `settle` says what came of it

    def everybody_leaves(self):
        for name in self.phones:
            for call in self.live(name):
                call.hang_up()
        wait_until(lambda: not any(self.live(name) for name in self.phones), PATIENCE, "everybody has left")
        for phone in self.phones.values():
            # What was said last has its answer, too.
            wait_until(lambda: not phone.pending, PATIENCE, lambda: f"{phone.name} gets its answers: {list(phone.pending)}")
            phone.calls.clear()
            while not phone.new.empty():
                phone.new.get_nowait()

    # --- what is asked afterwards ------------------------------------------------------------------------------------

    def ask_dialogs(self):
        """An OPTIONS in every dialog of every phone: how many are answered 200, of how many."""
        asked = []
        for phone in self.phones.values():
            for call in list(phone.calls.values()):
                if call.state == "confirmed":
                    phone.send(call._request("OPTIONS"), again=True)
                    asked.append((call, f"{call.cseq} OPTIONS"))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not all(cseq in call.answers for call, cseq in asked):
            time.sleep(0.02)
        return sum(call.answers.get(cseq) == 200 for call, cseq in asked), len(asked)

    def reach_everybody(self):
        """An OPTIONS from phone to phone, through the edge: how many are reached, of how many."""
        names = list(self.phones)
        pairs = list(zip(names, names[1:] + names[:1]))
        return sum(ask(self.phones[one], f"sip:{other}@example.test") == 200 for one, other in pairs), len(pairs)


def ask(phone, uri, method="OPTIONS", seconds=8):
    """A request outside of dialogs, with an answer to one challenge; gives the final status, or None."""
    call = Call(phone, _token(20))
    call.local, call.remote, call.uri = f"<sip:{phone.name}@{phone.domain}>", f"<{uri}>", uri
    phone.calls[call.call_id] = call
    call.state = "ended"
    try:
        headers = []
        for _ in range(2):
            phone.send(call._request(method, early=True, headers=headers), again=True)
            cseq, end = f"{call.cseq} {method}", time.monotonic() + seconds
            while cseq not in call.answers and time.monotonic() < end:
                time.sleep(0.02)
            status = call.answers.get(cseq)
            if status not in (401, 407) or headers:
                return status
            headers = [phone.credentials(call.last_answer, method, uri)]
        return None
    finally:
        phone.calls.pop(call.call_id, None)
        call.rtp.close()
