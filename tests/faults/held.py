"""Many calls up, a SIGKILL, and how long it takes until their dialogs answer again."""

import os
import re
import select
import signal
import socket
import time

from rig.edge import Edge
from rig.net import Block

CONFIGURATION = """\
[edge]
domain = "example.test"

[[listen]]
transport = "udp"
address = "{host}:5060"

[store]
path = "{store}"

[[peer]]
name = "trunk"
match = ["{caller}/32", "{callee}/32"]
auth = "none"

[[route]]
match = "^[0-9]+$"
to = "sip:{callee}:5060"

[ladder]
calls = 0
"""
SDP = ("v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 8 101\r\n"
       "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n")
WINDOW = 64          # calls in setup at a time


def header(text, name):
    found = re.search(rf"^{name}:[ \t]*(.*?)\r$", text, re.M | re.I)
    return found[1] if found else ""


class Crowd:
    """Callers on one address and callees on another; a dialog of each call at either end."""

    def __init__(self, edge, caller, callee):
        self.edge = (edge, 5060)
        self.sockets = {}
        for name, host in (("caller", caller), ("callee", callee)):
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            made.bind((host, 5060))
            made.setblocking(False)
            self.sockets[name] = made
        self.hosts = {"caller": caller, "callee": callee}
        self.dialogs = {}    # (end, number): From, To, Call-ID, target of our requests
        self.answered = {}   # Call-ID of an in-dialog request: status
        self.branch = 0

    def close(self):
        for made in self.sockets.values():
            made.close()

    def send(self, end, text):
        self.sockets[end].sendto(text.encode(), self.edge)

    def via(self, end):
        self.branch += 1
        return f"Via: SIP/2.0/UDP {self.hosts[end]}:5060;branch=z9hG4bKh{os.getpid()}x{self.branch}\r\nMax-Forwards: 70\r\n"

    def invite(self, number):
        host = self.hosts["caller"]
        body = SDP.format(host=host, port=10_000 + number % 40_000)
        self.send("caller", f"INVITE sip:{100_000 + number}@example.test SIP/2.0\r\n{self.via('caller')}"
                  f"From: <sip:{number}@{host}>;tag=a{number}\r\nTo: <sip:{100_000 + number}@example.test>\r\n"
                  f"Call-ID: held-{number}@{host}\r\nCSeq: 1 INVITE\r\nContact: <sip:{number}@{host}:5060>\r\n"
                  f"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE\r\n"
                  f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}")

    def step(self, wait=0.05):
        ready, _, _ = select.select(list(self.sockets.values()), [], [], wait)
        for end, made in self.sockets.items():
            if made not in ready:
                continue
            for _ in range(256):
                try:
                    text = made.recv(65535).decode()
                except BlockingIOError:
                    break
                self.take(end, text)

    def take(self, end, text):
        method = header(text, "CSeq").split()[-1]
        if text.startswith("SIP/2.0"):
            status = int(text.split()[1])
            if method == "INVITE" and status == 200:
                number = int(re.search(r"tag=a(\d+)", header(text, "From"))[1])
                target = re.search(r"<([^>]+)>", header(text, "Contact"))[1]
                known = (header(text, "From"), header(text, "To"), header(text, "Call-ID"), target)
                self.dialogs[("caller", number)] = known
                self.request("caller", number, "ACK", 1)
            elif method in ("OPTIONS", "BYE") and status >= 200:
                self.answered[(end, header(text, "Call-ID"), method)] = status
            return
        copied = "".join(f"{name}: {header(text, name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq"))
        if method == "INVITE":
            number = int(re.search(r"INVITE sip:(\d+)@", text)[1]) - 100_000
            host = self.hosts["callee"]
            to = f"{header(text, 'To')};tag=b{number}"
            target = re.search(r"<([^>]+)>", header(text, "Contact"))[1]
            self.dialogs[("callee", number)] = (to, header(text, "From"), header(text, "Call-ID"), target)
            body = SDP.format(host=host, port=10_000 + number % 40_000)
            self.send(end, f"SIP/2.0 200 OK\r\n{copied}To: {to}\r\nContact: <sip:{number}@{host}:5060>\r\n"
                      f"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE\r\n"
                      f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        elif method != "ACK":
            self.send(end, f"SIP/2.0 200 OK\r\n{copied}To: {header(text, 'To')}\r\nContent-Length: 0\r\n\r\n")

    def request(self, end, number, method, cseq):
        ours, theirs, call_id, target = self.dialogs[(end, number)]
        self.send(end, f"{method} {target} SIP/2.0\r\n{self.via(end)}From: {ours}\r\nTo: {theirs}\r\nCall-ID: {call_id}\r\n"
                  f"CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n")

    def up(self, size):
        """Sets up so many calls, a window at a time; a call whose messages are lost is called again by nobody."""
        begun = 0
        end = time.monotonic() + 60 + size / 50
        while len(self.dialogs) < 2 * size:
            while begun < size and begun - len(self.dialogs) // 2 < WINDOW:
                self.invite(begun)
                begun += 1
            self.step()
            assert time.monotonic() < end, f"{len(self.dialogs) // 2} of {size} calls are up, {begun} were begun"

    def all(self, method, cseq):
        """Every dialog asks at both ends; how many were answered 200, of how many. What is lost is asked again."""
        wanted = {(end, self.dialogs[(end, number)][2], method): (end, number) for end, number in self.dialogs}
        waits, end = list(wanted.items()), time.monotonic() + 120
        while waits and time.monotonic() < end:
            for at in range(0, len(waits), WINDOW):
                for _, (side, number) in waits[at:at + WINDOW]:
                    self.request(side, number, method, cseq)
                until = time.monotonic() + 1
                part = [key for key, _ in waits[at:at + WINDOW]]
                while time.monotonic() < until and not all(key in self.answered for key in part):
                    self.step()
            waits = [(key, side) for key, side in waits if key not in self.answered]
        return sum(self.answered.get(key) == 200 for key in wanted), len(wanted)


def held_calls(row, size, folder):
    block = Block()
    folder.mkdir(parents=True, exist_ok=True)
    host, caller, callee = block.host(1), block.host(11), block.host(12)
    configuration = CONFIGURATION.format(host=host, store=folder / "store.db", caller=caller, callee=callee)
    os.environ.setdefault("RUST_LOG", "info")
    edge, crowd = Edge(host, configuration, folder), Crowd(host, caller, callee)
    try:
        begun = time.monotonic()
        crowd.up(size)
        row["set_up_s"] = round(time.monotonic() - begun, 1)
        # The store's thread is behind by some milliseconds.
        time.sleep(1)
        os.kill(edge.process.pid, signal.SIGKILL)
        edge.process.wait()
        edge._log.close()
        row["store_mb"] = round((folder / "store.db").stat().st_size / 1e6, 1)
        begun = time.monotonic()
        last = max(number for _, number in crowd.dialogs)
        key = ("caller", crowd.dialogs[("caller", last)][2], "OPTIONS")
        import threading
        made = {}
        starter = threading.Thread(target=lambda: made.update(edge=Edge(host, configuration, folder / "again")))
        starter.start()
        cseq = 10
        while key not in crowd.answered:
            cseq += 1
            crowd.request("caller", last, "OPTIONS", cseq)
            crowd.step(0.02)
            assert time.monotonic() - begun < 60, "no dialog answers within a minute"
        row["restart_ms"] = round(1000 * (time.monotonic() - begun))
        row["status"] = crowd.answered.pop(key)
        starter.join()
        edge = made["edge"]
        row["answered"], row["asked"] = crowd.all("OPTIONS", cseq + 1)
        # One end of each call hangs up; the other is told.
        for (end, number) in list(crowd.dialogs):
            if end == "callee":
                del crowd.dialogs[(end, number)]
        ended, of = crowd.all("BYE", cseq + 2)
        left = {}

        def empty():
            left.update(edge.gauges())
            return not any(left[f"warmline_{what}"] for what in ("calls", "dialogs", "transfers"))
        end = time.monotonic() + 20
        while not empty() and time.monotonic() < end:
            crowd.step()
        assert row["answered"] == row["asked"], f"{row['answered']} of {row['asked']} dialogs answer"
        assert ended == of, f"{ended} of {of} BYEs were answered"
        assert empty(), f"left in the edge: {left}"
        assert row["restart_ms"] <= 5000, f"{row['restart_ms']} ms, 5000 allowed"
    finally:
        crowd.close()
        edge.stop()
        block.release()
