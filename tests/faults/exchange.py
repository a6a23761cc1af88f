"""The PBX behind the edge, an Asterisk, dies and comes back, or stands still for four seconds: in mid-call and in mid-transfer."""

import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "peers"))

from desk import Watched
from dialects.phone import wait_until
from invariants import Baseline, check
from pbx import Pbx
from room import PATIENCE, Room

NAMES = {"customer": "1001", "operator": "1002", "consult": "1003"}
TONES = {"1001": 440, "1002": 697, "1003": 1209}
MORE = """
[pbx]
uri = "sip:{block}.10:5060"
register = "through"
"""


class Exchange(Room):
    """The phones register through the edge at the PBX, and reach each other over it."""

    def __init__(self, folder, **rest):
        self.pbx = None
        def before(room):
            room.pbx = Pbx(room.block.host(10), tuple(NAMES.values()), folder)
            room.pbx.trace()
        def phone(name, room, host, tone):
            made = Watched(NAMES[name], (room.host, 5060), f"pw{NAMES[name]}", domain=room.host, host=host, tone=tone, crossing=room._crossed)
            return made
        more = MORE + "".join(f'\n[[user]]\nname = "{user}"\npassword = "pw{user}"\n' for user in NAMES.values())
        super().__init__(folder, phones=phone, before=before, more=more, names=tuple(NAMES), edge="ring_timeout_s = 8", **rest)

    def __exit__(self, *rest):
        super().__exit__(*rest)
        if self.pbx:
            self.pbx.stop()

    def talk(self):
        out = self.phones["customer"].call(NAMES["operator"])
        there = self.phones["operator"].incoming()
        there.answer()
        out.wait("confirmed")
        there.wait("confirmed")
        self.customer, self.operator = out, there
        return out, there

    def begin_transfer(self):
        self.operator.refer(f"sip:{NAMES['consult']}@{self.host}")

    def warm_up(self):
        self.talk()
        self.everybody_leaves()

    def kill_pbx(self):
        self.pbx.process.kill()
        self.pbx.process.wait()

    def start_pbx(self):
        """The same PBX with what it had on its disk: its registrations."""
        pbx = self.pbx
        pbx.process = subprocess.Popen(pbx._command("-f"), stdin=subprocess.DEVNULL, stdout=pbx._log, stderr=subprocess.STDOUT)
        wait_until(lambda: "fully booted" in pbx.cli("core waitfullybooted"), 30, "the PBX is back")

    def one_outcome(self, before):
        wait_until(lambda: outcomes(self) > before, 40, "the transfer has an end")

    def pbx_is_empty(self):
        wait_until(lambda: self.pbx.channels() == (0, 0), 20, lambda: f"the PBX agrees that nothing is left: {self.pbx.show_channels()}")


def outcomes(room):
    return sum(event["event"] in ("transfer.completed", "transfer.failed") for event in room.edge.data())


def pbx_restart(folder, rounds=1):
    """Killed in mid-call: everybody can hang up, and calls are possible when it is back. Killed in mid-transfer: one outcome."""
    with Exchange(folder) as room:
        room.warm_up()
        room.pbx_is_empty()
        baseline = Baseline(room)
        back = 0.0
        for _ in range(rounds):
            for transfer in (False, True):
                room.talk()
                before = outcomes(room)
                if transfer:
                    room.begin_transfer()
                    room.phones["consult"].incoming(PATIENCE)
                room.kill_pbx()
                time.sleep(0.3)
                room.start_pbx()
                if transfer:
                    for call in room.live("consult"):
                        call.answer()
                    room.one_outcome(before)
                answered, asked = room.ask_dialogs()
                assert answered == asked, f"{answered} of {asked} dialogs answer after the PBX came back"
                room.everybody_leaves()
                room.edge.wait_until_empty(45)
                begun = time.monotonic()
                room.talk()
                back = max(back, time.monotonic() - begun)
                room.customer.hears(TONES["1002"])
                room.everybody_leaves()
                room.pbx_is_empty()
        room.talk()
        figures = check(room, baseline, reach=False)
        room.pbx_is_empty()
        figures["next_call_s"] = round(back, 1)
        return figures


def pbx_slow(folder, seconds=4.0, rounds=1):
    """It stands still while a call is set up, while one is up, and while one is transferred: late, and otherwise as ever."""
    with Exchange(folder) as room:
        room.warm_up()
        room.pbx_is_empty()
        baseline = Baseline(room)
        pid, longest = room.pbx.process.pid, 0.0
        def still():
            os.kill(pid, signal.SIGSTOP)
            return time.monotonic()
        def go_on(since):
            time.sleep(max(0.0, seconds - (time.monotonic() - since)))
            os.kill(pid, signal.SIGCONT)
        try:
            for _ in range(rounds):
                since = still()
                begun = time.monotonic()
                out = room.phones["customer"].call(NAMES["operator"])
                go_on(since)
                there = room.phones["operator"].incoming(PATIENCE).answer()
                out.wait("confirmed", PATIENCE)
                there.wait("confirmed", PATIENCE)
                longest = max(longest, time.monotonic() - begun)
                room.customer, room.operator = out, there
                room.customer.hears(TONES["1002"])
                since, before = still(), outcomes(room)
                room.begin_transfer()
                go_on(since)
                consult = room.phones["consult"].incoming(PATIENCE)
                consult.answer()
                room.one_outcome(before)
                consult.wait("confirmed", PATIENCE)
                room.customer.hears(TONES["1003"])
                consult.hears(TONES["1001"])
                room.everybody_leaves()
                room.pbx_is_empty()
            room.talk()
            figures = check(room, baseline, reach=False)
            room.pbx_is_empty()
        finally:
            os.kill(pid, signal.SIGCONT)
        figures.update({"stood_still_s": seconds, "set_up_s": round(longest, 1)})
        return figures
