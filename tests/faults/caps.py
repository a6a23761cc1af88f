"""What the system gives comes to an end: descriptors, memory, media ports."""

import resource
import time

from dialects.phone import wait_until
from invariants import Baseline, check, descriptors, resident
from lines import Loris
from room import PATIENCE, Room


def descriptors_capped(folder, spare=6):
    """With so few to spare connections take the rest; calls that need none go on, those that need one are told, and afterwards all is well."""
    with Room(folder, mode="relay") as room:
        room.warm_up()
        squeeze(room, spare)
        # What the first time needed once belongs to the warm-up.
        baseline = Baseline(room)
        status = squeeze(room, spare)
        room.talk()
        room.transfer("blind")
        assert room.settle() == "done", "the transfer afterwards"
        room.still_answers("done")
        figures = check(room, baseline)
        figures["new_call"] = status
        return figures


def squeeze(room, spare):
    """A relayed call is up; connections take every descriptor; somebody calls. What the caller was answered."""
    room.talk()
    room.customer.hears(room.tone("operator"))
    pid = room.edge.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(room.edge) + spare, hard))
    loris = Loris(room, 2 * spare + 10)
    try:
        def full():
            loris.dribble(b"I")
            return descriptors(room.edge) >= resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] - 1
        wait_until(full, PATIENCE, "the descriptors are used up")
        refused = room.phones["consult"].call("customer")
        wait_until(lambda: refused.state in ("ended", "confirmed") or room.live("customer")[1:], PATIENCE, "a new call has an end")
        for call in room.live("customer")[1:]:
            call.reject()
        status = refused.wait("ended").status
        room.still_answers("undone")
    finally:
        loris.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    room.everybody_leaves()
    room.edge.wait_until_empty(45)
    return status


def memory_capped(folder, megabytes=256, connections=600, floods=2_000):
    """So much address space beyond what it has, and then more work than it ever sees: the edge lives, and calls go on."""
    with Room(folder) as room:
        room.warm_up()
        baseline = Baseline(room)
        with open(f"/proc/{room.edge.process.pid}/status", encoding="ascii") as status:
            size = next(int(line.split()[1]) for line in status if line.startswith("VmSize")) * 1024
        soft, hard = resource.prlimit(room.edge.process.pid, resource.RLIMIT_AS)
        resource.prlimit(room.edge.process.pid, resource.RLIMIT_AS, (size + (megabytes << 20), hard))
        room.talk()
        loris = Loris(room, connections)
        # As large as a message may be, and never whole: that is what a connection can make an edge hold.
        try:
            text = b"INVITE sip:a@example.test SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nContent-Length: 60000\r\n\r\n" + b"x" * 59_000
            end = time.monotonic() + 8
            sent = 0
            for stream in loris.streams:
                try:
                    sent += stream.send(text)
                except OSError:
                    pass
                if time.monotonic() > end:
                    break
            highest = resident(room.edge)
            room.still_answers("undone")
            room.transfer("blind")
            assert room.settle() == "done"
            room.still_answers("done")
            highest = max(highest, resident(room.edge))
        finally:
            loris.close()
        assert sent > 10_000_000, f"only {sent} octets were taken: the row tested nothing"
        resource.prlimit(room.edge.process.pid, resource.RLIMIT_AS, (soft, hard))
        assert room.edge.alive(), "the edge died for want of memory"
        room.everybody_leaves()
        # What the allocator keeps for the next crowd is no leak: a second one must not need more.
        room.edge.wait_until_empty(45)
        baseline.kb = max(baseline.kb, resident(room.edge))
        room.talk()
        figures = check(room, baseline)
        figures.update({"held_mb": round(sent / 1e6), "highest_mb": round(highest / 1024), "cap_mb_above": megabytes})
        return figures


def ports_empty(folder):
    """Ports for two relayed calls: the third is refused and nothing breaks; when one ends there is room again."""
    with Room(folder, mode="relay", media="ports = [22000, 22007]") as room:
        room.warm_up()
        baseline = Baseline(room)
        room.talk()
        second = room.phones["consult"].call("customer")
        room.phones["customer"].incoming().answer()
        second.wait("confirmed")
        third = room.phones["consult"].call("operator")
        wait_until(lambda: third.state == "ended" or room.live("operator")[1:], PATIENCE, "the third call has an end")
        for call in room.live("operator")[1:]:
            call.reject(480)
        status = third.wait("ended").status
        assert status in (488, 503), f"the third call was answered {status}: 488 or 503 say that there is no port"
        # A transfer needs a port, too: it is undone, and nobody is lost.
        room.operator.refer("sip:consult@example.test")
        wait_until(lambda: any(event["event"] in ("transfer.failed", "transfer.completed") for event in room.edge.data()[-20:]), PATIENCE,
                   "the transfer has an end")
        assert room.live("customer") and room.live("operator"), "the call was lost with the transfer"
        room.still_answers("undone")
        second.hang_up()
        second.wait("ended")
        wait_until(lambda: room.edge.gauges()["warmline_media_ports"] <= 4, PATIENCE, "the ports of the second call come back")
        room.transfer("blind")
        assert room.settle() == "done", "with ports there is a transfer again"
        room.still_answers("done")
        figures = check(room, baseline)
        figures["third_call"] = status
        return figures
