"""The disk is full: the store, its journal, the audit log and the call records cannot be written, and calls go on."""

import pathlib
import subprocess
import time

from dialects.phone import wait_until
from invariants import Baseline, check
from rig.edge import binary
from room import PATIENCE, Room

MORE = """
[audit]
file = "{folder}/disk/audit.jsonl"
"""


class SmallDisk:
    """A tmpfs in a mount namespace of its own, which a sleeping process holds while edges come and go."""

    def __init__(self, folder, megabytes):
        folder.mkdir(parents=True, exist_ok=True)
        self.place = folder / "disk"
        self.place.mkdir(exist_ok=True)
        command = f"mount -t tmpfs -o size={megabytes}m tmpfs {self.place} && echo ready && exec sleep 3600"
        self.keeper = subprocess.Popen(["unshare", "-m", "sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.keeper.stdout.readline() == b"ready\n", "no disk of its own: this row needs root"
        self.wrap = f"nsenter --mount=/proc/{self.keeper.pid}/ns/mnt --"
        self.inside = pathlib.Path(f"/proc/{self.keeper.pid}/root{self.place}")

    def fill(self):
        """Until nothing goes any more; how many octets that were."""
        size = 0
        with open(self.inside / "fill", "wb", buffering=0) as file:
            for block in (1 << 16, 1 << 10, 1):
                try:
                    while True:
                        size += file.write(b"x" * block)
                except OSError:
                    pass
        return size

    def make_room(self):
        (self.inside / "fill").unlink()

    def close(self):
        self.keeper.terminate()
        self.keeper.wait()


def metric(room, name):
    _, page = room.edge.request("GET", "/metrics")
    return next((int(float(line.split()[1])) for line in page.splitlines() if line.startswith(f"{name} ")), None)


def disk_full(folder, transfers=2):
    folder.mkdir(parents=True, exist_ok=True)
    disk = SmallDisk(folder, 48)
    try:
        with Room(folder, more=MORE, wrap=disk.wrap, store="disk/store.db") as room:
            room.warm_up()
            baseline = Baseline(room)
            assert metric(room, "warmline_store_up") == 1, "the store is well at the start"
            disk.fill()
            for number in range(transfers):
                room.talk()
                room.transfer("attended" if number % 2 else "blind")
                assert room.settle() == "done"
                room.still_answers("done")
                room.everybody_leaves()
            room.talk()
            wait_until(lambda: metric(room, "warmline_store_up") == 0, PATIENCE, "the alarm that the store fails")
            # The last page of its file still has room for some lines.
            wait_until(lambda: room.edge.request("POST", "/v1/calls", {}) and metric(room, "warmline_audit_lost_total"), 30,
                       "lost lines of the audit log are counted")
            lost = metric(room, "warmline_audit_lost_total")
            disk.make_room()
            wait_until(lambda: metric(room, "warmline_store_up") == 1, 20, "the store is well again")
            # And what was not written meanwhile is: another process goes on with the call.
            room.edge.request("POST", "/v1/calls", {})
            wait_until(lambda: '"lost"' in (disk.inside / "audit.jsonl").read_text(), PATIENCE, "the audit log says that lines are missing")
            time.sleep(0.5)
            chain = audit(room, disk)
            room.kill()
            room.start_again()
            room.still_answers("undone")
            figures = check(room, baseline, restarted=True)
            figures.update({"audit_lines_lost": lost, "audit": chain, "restart_ms": room.restart_ms})
            return figures
    finally:
        disk.close()


def audit(room, disk):
    """The chain holds: nothing was changed, and half a line is no line."""
    done = subprocess.run([*disk.wrap.split(), binary(), "audit", str(disk.place / "audit.jsonl")], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, f"warmline audit: {done.stdout}{done.stderr}"
    return "whole"
