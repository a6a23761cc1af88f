"""The rows of one node: what each is called, who performs it, and how big it is in the short and in the long form.

A row is a function of a folder and its sizes; it gives its figures, or raises with what is not so. `alone`: it loads the
machine, so that nothing runs beside it.
"""

from dataclasses import dataclass, field
from typing import Callable

from lines import broken_lines, single_octets, slow_loris
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
    Row("loris", "slow-loris", slow_loris, {"size": 500}, {"size": 5_000}),
]
