"""The clock is set: an hour and ten years, forwards and backwards, in mid-call. libfaketime tells the edge another time of
day; the monotonic clock goes on as it does on a real machine."""

import glob
import time

from dialects.phone import wait_until
from invariants import Baseline, check
from room import PATIENCE, Room

HOUR, YEARS = 3_600, 315_360_000


class Unavailable(AssertionError):
    pass


def library():
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") + glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not found:
        raise Unavailable("libfaketime is not installed (Debian: libfaketime)")
    return found[0]


def clock_set(folder, by=(HOUR, -HOUR, YEARS, -YEARS), restart=(-HOUR, -YEARS)):
    folder.mkdir(parents=True, exist_ok=True)
    offset = folder / "offset"
    offset.write_text("+0\n")
    wrap = (f"env LD_PRELOAD={library()} FAKETIME_TIMESTAMP_FILE={offset} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 "
            "FAKETIME_DONT_RESET=1")
    with Room(folder, wrap=wrap) as room:
        room.warm_up()
        baseline = Baseline(room)
        for seconds in by:
            room.talk()
            offset.write_text(f"{seconds:+d}\n")
            told = time.time() + seconds
            # Nonces are of before the jump, and of after it.
            for phone in room.phones.values():
                phone.register()
            room.still_answers("undone")
            room.transfer("attended")
            assert room.settle() == "done"
            room.still_answers("done")
            room.everybody_leaves()
            room.edge.wait_until_empty(20)
            stamped = room.edge.data()[-1]["at"]
            year = time.gmtime(told).tm_year
            assert stamped.startswith(str(year)), f"the edge's clock was not set: {stamped}, {year} expected"
            offset.write_text("+0\n")
        room.talk()
        figures = check(room, baseline)
        # With a restart in between: the clock of the process that reads the store is another one.
        back = 0
        for seconds in restart:
            room.talk()
            time.sleep(0.3)
            offset.write_text(f"{seconds:+d}\n")
            room.kill()
            room.start_again()
            room.still_answers("undone")
            later = check(room, restarted=True)
            back += later["reached"] == "3/3"
        figures["restarts"] = f"{back}/{len(restart)} with every phone reached"
        return figures
