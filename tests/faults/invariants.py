"""What must be true after every fault (issue 6 §3), asked in one place.

1. every dialog that is up answers an in-dialog request;
2. every acknowledged registration is reached;
3. when everybody has left: no calls, dialogs, transfers, transactions, media ports;
4. each transfer has one outcome: completed or failed, and nothing was completed twice;
5. every call and every leg that was told stands in exactly one record, and every record is complete;
6. the events have no gap;
7. memory and descriptors are what they were after the warm-up, within 5 %.
"""

import os
import time

SHARE = 0.05
# Five per cent of next to nothing is no measure: pages of the heap, and one connection that is just being closed.
LEAST_KB, LEAST_DESCRIPTORS = 4_096, 2


class Baseline:
    """What the process has when nothing is going on."""

    def __init__(self, room, empty_within=20):
        room.edge.wait_until_empty(empty_within)
        self.kb, self.descriptors = resident(room.edge), descriptors(room.edge)


def resident(edge):
    with open(f"/proc/{edge.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def descriptors(edge):
    return len(os.listdir(f"/proc/{edge.process.pid}/fd"))


def check(room, baseline=None, empty_within=25, restarted=False, reach=True, killed=False):
    """Asks all of it; raises with everything that is not so, else gives the figures. `restarted`: this process took over
    from one that was killed, whose memory is no measure for its own. `killed`: processes died in the middle of transfers; what
    they decided and had no time to tell is told by nobody, so that only two outcomes of one transfer are too many."""
    wrong, figures = [], {}
    answered, asked = room.ask_dialogs()
    figures["dialogs"] = f"{answered}/{asked}"
    if answered != asked:
        wrong.append(f"{answered} of {asked} dialogs answer a request")
    if reach:
        reached, phones = room.reach_everybody()
        figures["reached"] = f"{reached}/{phones}"
        if reached != phones:
            wrong.append(f"{reached} of {phones} registrations are reached")
    for what in (lambda: room.everybody_leaves(), lambda: room.edge.wait_until_empty(empty_within)):
        try:
            what()
        except AssertionError as error:
            wrong.append(str(error))
    wrong += outcomes(room, figures, killed)
    for find in (records, gaps):
        wrong += find(room, figures)
    if baseline and not restarted:
        wrong += growth(room, baseline, figures)
    if not room.edge.alive():
        wrong.append(f"the edge died: {room.edge.tail()}")
    if panics := panicked(room):
        wrong.append(f"{panics} panics")
    if wrong:
        raise AssertionError("\n".join(wrong))
    return figures


def panicked(room):
    _, page = room.edge.request("GET", "/metrics")
    return next(int(line.split()[1]) for line in page.splitlines() if line.startswith("warmline_panics_total "))


def told(room, name):
    """The events of this name, of all processes, as what they say."""
    return [event for edge in room.edges for event in edge.data() if event.get("event") == name]


def outcomes(room, figures, killed):
    requested = {event["transfer"] for event in told(room, "transfer.requested")}
    ended = [event["transfer"] for name in ("transfer.completed", "transfer.failed") for event in told(room, name)]
    figures["done"], figures["undone"] = len(told(room, "transfer.completed")), len(told(room, "transfer.failed"))
    fine = (0, 1) if killed else (1,)
    wrong = [f"transfer {transfer} has {ended.count(transfer)} outcomes" for transfer in requested if ended.count(transfer) not in fine]
    if killed:
        return wrong
    return wrong + [f"transfer {transfer} ended and was never begun" for transfer in set(ended) - requested]


def records(room, figures):
    """Only of this process: what was told by one that was killed is in its file, if it had the time."""
    listed, after = [], None
    while True:
        status, page = room.edge.request("GET", "/v1/records?limit=200" + (f"&after={after}" if after else ""))
        if status != 200:
            return [f"GET /v1/records answered {status}"]
        listed += page["records"]
        after = page.get("next")
        if not after or not page["records"]:
            break
    figures["records"] = len(listed)
    wrong = [f"record {record['id']} is not complete" for record in listed if not record["ended_at"]]
    for kind, name, of in (("call", "call.started", lambda record: record["calls"]),
                           ("leg", "leg.started", lambda record: [leg["leg"] for leg in record["legs"]])):
        there = [handle for record in listed for handle in of(record)]
        for handle in {event[kind] for event in room.edge.data() if event.get("event") == name}:
            if there.count(handle) != 1:
                wrong.append(f"{handle} stands in {there.count(handle)} records")
    return wrong[:8]


def gaps(room, figures):
    wrong = []
    for edge in room.edges:
        with edge._changed:
            numbers = [int(event["id"]) for event in edge.events]
            missed = [event for event in edge.events if event["event"] == "events.missed"]
        figures["events"] = figures.get("events", 0) + len(numbers)
        if missed:
            wrong.append(f"events were missed: {missed[0]['data']}")
        elif numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            wrong.append("the events have a gap")
    return wrong


def growth(room, baseline, figures, seconds=8):
    """Connections that have just been closed, and pages that are just given back, have a moment."""
    end = time.monotonic() + seconds
    while True:
        wrong = []
        kb, held = resident(room.edge), descriptors(room.edge)
        figures["memory"] = f"{100 * (kb - baseline.kb) / baseline.kb:+.1f} %"
        figures["descriptors"] = f"{held - baseline.descriptors:+d}"
        if kb - baseline.kb > max(SHARE * baseline.kb, LEAST_KB):
            wrong.append(f"{kb} KB resident, {baseline.kb} at the start")
        if held - baseline.descriptors > max(SHARE * baseline.descriptors, LEAST_DESCRIPTORS):
            wrong.append(f"{held} descriptors, {baseline.descriptors} at the start")
        if not wrong or time.monotonic() > end:
            return wrong
        time.sleep(0.2)
