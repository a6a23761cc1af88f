"""The soak: mixed transfers without end, with a SIGKILL every now and then."""

import random
import time

from invariants import Baseline, check
from room import Room


def soak(folder, minutes=1.0, kill_every_s=20.0, seed=1):
    """Blind and attended transfers, some hung up in the middle; killed at any moment. Done or undone, each of them."""
    dice = random.Random(seed)
    with Room(folder, log="warn") as room:
        room.warm_up()
        baseline = Baseline(room)
        end, next_kill = time.monotonic() + 60 * minutes, time.monotonic() + kill_every_s
        counts = {"done": 0, "undone": 0, "kills": 0, "longest_restart_ms": 0}
        while time.monotonic() < end:
            room.talk()
            kill = time.monotonic() > next_kill
            if kill:
                room.kill_at(dice.randrange(1, 14))
                next_kill += kill_every_s
            kind = dice.choice(("blind", "attended"))
            try:
                room.transfer(kind)
            except AssertionError:
                if not kill:
                    raise                   # with a kill it may never have come to the REFER
            if kill:
                if not room.wait_until_killed(5):
                    room.kill()
                room.start_again()
                counts["kills"] += 1
                counts["longest_restart_ms"] = max(counts["longest_restart_ms"], room.restart_ms)
            verdict = room.settle()
            counts[verdict] += 1
            room.still_answers(verdict)
            room.everybody_leaves()
        room.talk()
        figures = check(room, baseline, restarted=counts["kills"] > 0, killed=counts["kills"] > 0)
        return figures | counts
