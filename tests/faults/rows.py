"""The rows of one node: what each is called, who performs it, and how big it is in the short and in the long form.

A row is a function of a folder and its sizes; it gives its figures, or raises with what is not so. `alone`: it loads the
machine, so that nothing runs beside it.
"""

from dataclasses import dataclass, field
from typing import Callable

from caps import descriptors_capped, memory_capped, ports_empty
from clock import clock_set
from cluster import forwarded, pairs_killed, paused, store_fault, taken_over
from disk import disk_full
from exchange import pbx_restart, pbx_slow
from floods import garbage_flood, no_bye, repeated, request_flood
from lines import broken_lines, single_octets, slow_loris
from name_server import name_server
from restarted import restarted
from soak import soak
from upgrade import reload_under_load, upgrade_under_load, upgrade_with_sound
from weather import weather


@dataclass
class Row:
    name: str
    title: str
    body: Callable
    short: dict = field(default_factory=dict)
    long: dict = field(default_factory=dict)
    alone: bool = False


ROWS = [
    Row("weather", "loss 5 %, reordering 25 %, duplication 1 %", weather, {"transfers": 4}, {"transfers": 40}),
    *[Row(f"{kind}-{how}", f"{kind.upper()} {title} in mid-call and mid-transfer", broken_lines,
          {"kind": kind, "how": how}, {"kind": kind, "how": how, "rounds": 10})
      for kind, how, title in (("tcp", "reset", "reset"), ("ws", "drop", "dropped"), ("tcp", "half_open", "half open"),
                               ("ws", "half_open", "half open"))],
    Row("tcp-octets", "TCP in single octets", single_octets, {"kind": "tcp"}, {"kind": "tcp", "transfers": 20}),
    Row("ws-octets", "WebSocket in single octets", single_octets, {"kind": "ws"}, {"kind": "ws", "transfers": 20}),
    *[Row(f"restart-{kind}", f"SIGKILL under phones by {kind.upper()}", restarted, {"kind": kind}, {"kind": kind, "rounds": 10})
      for kind in ("tcp", "tls", "ws", "wss")],
    Row("pbx-restart", "PBX killed in mid-call and mid-transfer", pbx_restart, {}, {"rounds": 10}),
    Row("pbx-slow", "PBX stands still for 4 s", pbx_slow, {}, {"rounds": 10}),
    Row("dns", "name server gone, slow, wrong", name_server, {}, {"manners": ("gone", "slow", "late", "wrong", "fails", "babbles", "forged") * 3}),
    Row("disk", "disk full: store, journal, audit log", disk_full, {}, {"transfers": 20}),
    Row("clock", "clock set by 1 h and 10 years, both ways", clock_set, {"by": (3_600, -315_360_000), "restart": (-315_360_000,)}),
    Row("descriptors", "file descriptors used up", descriptors_capped),
    Row("memory", "memory capped", memory_capped),
    Row("ports", "no media port left", ports_empty),
    Row("no-bye", "no BYE ever", no_bye, {"calls": 3}, {"calls": 100}),
    Row("repeated", "each request 1,000 times", repeated, {"times": 1_000}, {"times": 1_000}),
    Row("garbage", "100,000 datagrams of garbage a second", garbage_flood, {"seconds": 2}, {"seconds": 60}, alone=True),
    *[Row(f"{method.lower()}-flood{'' if limits else '-unlimited'}", f"{method} flood, limits {'on' if limits else 'off'}", request_flood,
          {"method": method, "limits": limits}, {"method": method, "limits": limits, "rate": 10_000, "seconds": 30}, alone=True)
      for method in ("REGISTER", "INVITE") for limits in (True, False)],
    Row("soak", "mixed transfers, a SIGKILL every now and then", soak, {"minutes": 0.7, "kill_every_s": 15},
        {"minutes": 30, "kill_every_s": 300}),
    Row("upgrade", "upgrade under 50 calls a second", upgrade_under_load, {"times": 1}, {"times": 5}, alone=True),
    Row("upgrade-sound", "upgrade in the middle of relayed sound", upgrade_with_sound),
    Row("reload", "configuration and certificate read again, 50 calls a second", reload_under_load, {"times": 50}, {"times": 1_000},
        alone=True),
    *[Row(f"pair-{kind}", f"two nodes, one killed at points of a {kind} transfer", pairs_killed, {"kind": kind, "points": points},
          {"kind": kind, "repeats": 3}) for kind, points in (("blind", (4, 9, 13)), ("attended", (3, 8)))],
    Row("pair-call", "two nodes, one killed under a call whose sound it relays", taken_over),
    Row("pair-forward", "requests at the wrong node", forwarded),
    Row("pair-paused", "two nodes, one stopped for longer than its lease: both active", paused),
    *[Row(f"redis-{kind}", f"Redis {title}", store_fault, {"kind": kind}, {"kind": kind})
      for kind, title in (("killed", "killed, and back"), ("emptied", "killed, and back with nothing"), ("full", "full"),
                          ("read-only", "read-only"), ("slow", "slow by 2 s"), ("cut", "out of everybody's reach"))],
    Row("loris", "slow-loris", slow_loris, {"size": 500}, {"size": 5_000}),
]
