"""The next process takes over while 50 calls a second begin and end; and a configuration and a certificate are read again and
again under the same load."""

import heapq
import itertools
import os
import re
import signal
import socket
import ssl
import subprocess
import time

from desk import Desk
from held import SDP, Crowd, header
from rig.edge import Edge
from rig.net import Block, wait_until

CONFIGURATION = """\
[edge]
domain = "example.test"

[[listen]]
transport = "udp"
address = "{host}:5060"

[[listen]]
transport = "tcp"
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
RATE = 50


class Taken:
    """A process that another one started, with what the rig asks of its own."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
                return 0 if stat.read().rpartition(")")[2].split()[0] == "Z" else None
        except OSError:
            return 0

    def send_signal(self, number):
        os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds=10):
        if not wait_until(lambda: self.poll() is not None, seconds):
            raise subprocess.TimeoutExpired("warmline", seconds)
        return 0


def said(edge, pattern, since=0):
    edge._log.flush()
    return re.search(pattern, (edge.folder / "edge.log").read_text(encoding="utf-8", errors="replace")[since:])


def size(edge):
    edge._log.flush()
    return (edge.folder / "edge.log").stat().st_size


class Load(Crowd):
    """So many calls a second, each for a while; every message is sent again as RFC 3261 §17 has it until it is answered."""

    def __init__(self, *rest):
        super().__init__(*rest)
        self.due, self.order = [], itertools.count()
        self.calls, self.waits, self.finals = {}, {}, {}
        self.begun = self.well = 0
        self.bad = []
        self.target = None
        self.ringing = {}

    def later(self, seconds, action):
        heapq.heappush(self.due, (time.monotonic() + seconds, next(self.order), action))

    def again(self, key, end, text, wait=0.5):
        """Until somebody has answered."""
        def once_more():
            if key in self.waits:
                self.send(end, text)
                self.again(key, end, text, min(2 * wait, 4))
        self.waits[key] = True
        self.later(wait, once_more)

    def send(self, end, text):
        super().send(end, text)
        start = text.split(" ", 1)[0]
        if end == "caller" and start in ("INVITE", "BYE"):
            key = (header(text, "Call-ID"), start)
            if key not in self.waits:
                self.again(key, end, text)

    def call(self, number, hold):
        self.begun += 1
        self.calls[f"held-{number}@{self.hosts['caller']}"] = (number, hold)
        self.invite(number)
        self.later(32, lambda: self.expired(number))

    def expired(self, number):
        call_id = f"held-{number}@{self.hosts['caller']}"
        if call_id in self.calls and (call_id, "INVITE") in self.waits:
            del self.waits[(call_id, "INVITE")], self.calls[call_id]
            self.bad.append(f"{number}: no answer")

    def take(self, end, text):
        start = text.split("\r\n", 1)[0]
        method = header(text, "CSeq").split()[-1]
        call_id = header(text, "Call-ID")
        if end == "caller" and start.startswith("SIP/2.0"):
            status = int(start.split()[1])
            if status >= 200:
                new = self.waits.pop((call_id, method), None)
                if status >= 300:
                    self.bad.append(f"{call_id}: {method} {start}")
                elif method == "INVITE" and new:
                    number, hold = self.calls[call_id]
                    if hold is not None:
                        self.later(hold, lambda: self.hang_up(number))
                elif method == "BYE" and new:
                    self.calls.pop(call_id, None)
                    self.well += 1
        if end == "callee" and start.startswith("INVITE"):
            number = int(re.search(r"INVITE sip:(\d+)@", text)[1]) - 100_000
            if number % 3 == 0 and number not in self.ringing:
                # Every third phone rings for a while.
                self.ringing[number] = text
                copied = "".join(f"{name}: {header(text, name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq"))
                self.send(end, f"SIP/2.0 180 Ringing\r\n{copied}To: {header(text, 'To')};tag=b{number}\r\n"
                          f"Contact: <sip:{number}@{self.hosts['callee']}:5060>\r\nContent-Length: 0\r\n\r\n")
                self.later(2, lambda: Crowd.take(self, end, text))
                return
            if number % 3 == 0 and ("callee", number) not in self.dialogs:
                return  # the same again, while it rings
        super().take(end, text)

    def hang_up(self, number):
        self.request("caller", number, "BYE", 2)

    def run(self, seconds, first):
        """RATE calls a second for so long; gives the next number."""
        end, number = time.monotonic() + seconds, first
        following = time.monotonic()
        while time.monotonic() < end:
            if time.monotonic() >= following:
                following += 1 / RATE
                self.call(number, 2.0)
                number += 1
            self.turn()
        return number

    def turn(self):
        while self.due and self.due[0][0] <= time.monotonic():
            heapq.heappop(self.due)[2]()
        self.step(0.005)

    def until(self, done, seconds, what):
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, f"{what() if callable(what) else what} after {seconds} s; {self.bad[:5]}"
            self.turn()


class TcpCaller:
    """One caller with a connection of its own."""

    def __init__(self, edge, host):
        self.host, self.seen, self.dialog = host, "", None
        self.socket = socket.create_connection((edge, 5060), source_address=(host, 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]

    def say(self, start, cseq, more="", body=""):
        ours, theirs = self.dialog or (f"<sip:tcp@{self.host}>;tag=t", "<sip:900001@example.test>")
        self.socket.sendall((f"{start} SIP/2.0\r\nVia: SIP/2.0/TCP {self.host}:{self.port};branch=z9hG4bKtcp{cseq.replace(' ', '')}\r\n"
                             f"Max-Forwards: 70\r\nFrom: {ours}\r\nTo: {theirs}\r\nCall-ID: tcp@{self.host}\r\nCSeq: {cseq}\r\n{more}"
                             f"Contact: <sip:tcp@{self.host}:{self.port};transport=tcp>\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())

    def hears(self, text):
        try:
            octets = self.socket.recv(65535)
            assert octets, "the connection was closed"
            self.seen += octets.decode()
        except BlockingIOError:
            pass
        return text in self.seen


def upgrade(load_turn, edge, seconds=30):
    """SIGUSR2, and the process that goes on; the pause in milliseconds."""
    since = size(edge)
    edge.process.send_signal(signal.SIGUSR2)
    end, found = time.monotonic() + seconds, None
    while not (found := said(edge, r"process (\d+) goes on, after (\d+) ms; (\d+) call", since)):
        assert not said(edge, "no upgrade: .*", since), said(edge, "no upgrade: .*", since)[0]
        assert time.monotonic() < end, f"nobody took over: {edge.tail()}"
        load_turn()
    before, edge.process = edge.process, Taken(int(found[1]))
    return before, int(found[2]), int(found[3])


def upgrade_under_load(folder, times):
    row, block = {}, Block()
    host, caller, callee = (block.host(last) for last in (1, 20, 30))
    configuration = CONFIGURATION.format(host=host, caller=caller, callee=callee, store=folder / "store.db")
    folder.mkdir(parents=True, exist_ok=True)
    edge = Edge(host, configuration, folder / "edge")
    older = []
    load = Load(host, caller, callee)
    try:
        tcp = TcpCaller(host, caller)
        tcp.say("INVITE sip:900001@example.test", "1 INVITE", "Content-Type: application/sdp\r\n", SDP.format(host=caller, port=9000))
        load.until(lambda: tcp.hears("SIP/2.0 200"), 10, "the caller by TCP has no answer")
        answer = tcp.seen[tcp.seen.index("SIP/2.0 200"):]
        tcp.dialog = (header(answer, "From"), header(answer, "To"))
        tcp.target = re.search(r"<([^>]+)>", header(answer, "Contact"))[1]
        tcp.say(f"ACK {tcp.target}", "1 ACK")
        held = range(500_000, 500_020)
        for number in held:
            load.call(number, None)
        load.until(lambda: all(("caller", number) in load.dialogs for number in held), 15, "the held calls are not up")
        number = load.run(3, 3)
        # A process that cannot start takes nothing over.
        path = edge.folder / "edge.toml"
        good = path.read_text(encoding="utf-8")
        path.write_text(good + "\n[nonsense]\n", encoding="utf-8")
        since = size(edge)
        edge.process.send_signal(signal.SIGUSR2)
        load.until(lambda: said(edge, "no upgrade", since), 30, "nobody said that there is no upgrade")
        path.write_text(good, encoding="utf-8")
        number = load.run(2, number)
        pauses, left = [], 0
        for again in range(times):
            following = [number]
            pace = [time.monotonic()]

            def turn():
                if time.monotonic() >= pace[0]:
                    pace[0] += 1 / RATE
                    load.call(following[0], 2.0)
                    following[0] += 1
                load.turn()
            before, pause, kept = upgrade(turn, edge)
            older.append(before)
            pauses.append(pause)
            left += kept
            number = load.run(4, following[0])
        load.until(lambda: len(load.calls) == len(held), 40, lambda: f"{len(load.calls)} calls are left, {len(held)} wanted: {list(load.calls)[:4]}")
        row["upgrades"], row["calls"], row["failed"] = len(pauses), load.well, len(load.bad)
        row["pause_ms"], row["finished_by_the_older"] = max(pauses), left
        # Who talked all the time hangs up, whatever process has the call and the connection.
        tcp.seen = ""
        tcp.say(f"BYE {tcp.target}", "2 BYE")
        load.until(lambda: tcp.hears("CSeq: 2 BYE"), 10, "the caller by TCP cannot hang up")
        last = tcp.seen[:tcp.seen.index("CSeq: 2 BYE")].rpartition("SIP/2.0 ")[2]
        assert last.startswith("200"), f"the caller by TCP hangs up and is answered {last[:40]}"
        tcp.socket.close()
        for call in held:
            load.hang_up(call)
        load.until(lambda: not load.calls, 20, "held calls cannot be hung up")
        row["hung_up"] = len(held) + 1
        assert not load.bad, f"{len(load.bad)} failed: {load.bad[:5]}"
        assert left, "no call rang while a process took over: nothing was tried"
        gauges = {}

        def empty():
            gauges.update(edge.gauges())
            return not any(gauges[f"warmline_{what}"] for what in ("calls", "dialogs", "transfers"))
        load.until(empty, 20, lambda: f"left in the edge: {gauges}")
        load.until(lambda: all(process.poll() is not None for process in older), 20, "an older process does not end")
        assert older[0].poll() == 0, f"the older process ended with {older[0].poll()}"
        return row
    finally:
        load.close()
        edge.stop()
        for process in older:
            if process.poll() is None:
                process.kill()
        block.release()


def upgrade_with_sound(folder):
    """How long two phones hear nothing when the edge that relays their sound is taken over."""
    row = {}
    with Desk(folder, relay=True) as desk:
        customer, operator = desk.talk()
        customer.hears(desk.tone("operator"))
        gaps = [call.watch_gap() for call in (customer, operator)]
        before, row["pause_ms"], _ = upgrade(lambda: time.sleep(0.02), desk.edge)
        customer.hears(desk.tone("operator"))
        operator.hears(desk.tone("customer"))
        row["gap_ms"] = round(1000 * max(gap() for gap in gaps))
        desk.everybody_leaves()
        assert wait_until(lambda: before.poll() is not None, 10), "the older process does not end"
    assert row["gap_ms"] <= 2000, f"silence of {row['gap_ms']} ms, 2000 allowed"
    return row


RELOADED = """
[[listen]]
transport = "tls"
address = "{host}:5061"

[[listen]]
transport = "wss"
address = "{host}:5062"

[tls]
certificate = "{folder}/chain.pem"
key = "{folder}/key.pem"
"""


def renew(folder, number):
    """A new certificate in the place of the one before it, whole files at a time."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-keyout", folder / "key.new", "-out", folder / "chain.new", "-subj", f"/CN=number-{number}",
                    "-addext", f"subjectAltName=DNS:number-{number}"], check=True, capture_output=True)
    (folder / "key.new").rename(folder / "key.pem")
    (folder / "chain.new").rename(folder / "chain.pem")


def connected(host, port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    made = context.wrap_socket(socket.create_connection((host, port), timeout=10))
    return made, made.getpeercert(binary_form=True)


def answers(connection, host, number):
    """Whether an OPTIONS on this connection is answered."""
    connection.sendall((f"OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/TLS {host}:9;branch=z9hG4bKo{number}\r\nMax-Forwards: 70\r\n"
                        f"From: <sip:a@{host}>;tag=o\r\nTo: <sip:{host}>\r\nCall-ID: o{number}\r\nCSeq: 1 OPTIONS\r\n"
                        "Content-Length: 0\r\n\r\n").encode())
    return connection.recv(65535).startswith(b"SIP/2.0 200")


def weight(edge):
    """Resident memory in KiB and open descriptors of the edge."""
    with open(f"/proc/{edge.process.pid}/status", encoding="ascii") as status:
        memory = int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])
    return memory, len(os.listdir(f"/proc/{edge.process.pid}/fd"))


def reload_under_load(folder, times):
    """Configuration and certificate are read again `times` times: no call fails, no connection is cut, nothing grows."""
    row, block = {}, Block()
    host, caller, callee = (block.host(last) for last in (1, 20, 30))
    folder.mkdir(parents=True, exist_ok=True)
    renew(folder, 0)
    configuration = CONFIGURATION.format(host=host, caller=caller, callee=callee, store=folder / "store.db")
    configuration += RELOADED.format(host=host, folder=folder)
    edge = Edge(host, configuration, folder / "edge")
    load = Load(host, caller, callee)
    path = edge.folder / "edge.toml"
    good = path.read_text(encoding="utf-8")
    kept = []
    try:
        kept = [connected(host, 5061), connected(host, 5062)]
        number, seen, first = load.run(3, 3), {certificate for _, certificate in kept}, None
        pace, following = time.monotonic(), number
        for again in range(1, times + 1):
            if again % 5 == 1:
                renew(folder, again)
            user = f'\n[[user]]\nname = "new{again}"\npassword = "secret"\n'
            path.write_text(good + user, encoding="utf-8")
            since = size(edge)
            edge.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + 20
            while not said(edge, "reloaded: ", since):
                assert time.monotonic() < end, f"reload {again} was not told"
                if time.monotonic() >= pace:
                    pace += 1 / RATE
                    load.call(following, 1.0)
                    following += 1
                load.turn()
            if again % 5 == 1:
                for port in (5061, 5062):
                    made, certificate = connected(host, port)
                    seen.add(certificate)
                    made.close()
            if again == times // 5:
                first = weight(edge)
        last = weight(edge)
        assert answers(kept[0][0], host, times), "a connection from before is not answered"
        load.until(lambda: not load.calls, 40, lambda: f"{len(load.calls)} calls are left")
        row["reloads"], row["calls"], row["failed"] = times, load.well, len(load.bad)
        row["certificates_seen"] = len(seen)
        row["memory_kib"], row["descriptors"] = f"{first[0]} then {last[0]}", f"{first[1]} then {last[1]}"
        assert not load.bad, f"{len(load.bad)} failed: {load.bad[:5]}"
        assert len(seen) >= 1 + (times + 4) // 5, f"{len(seen)} certificates were shown"
        assert last[0] <= first[0] * 1.05 + 4096, f"memory: {row['memory_kib']} KiB"
        assert last[1] <= first[1] + 8, f"descriptors: {row['descriptors']}"
        return row
    finally:
        for made, _ in kept:
            made.close()
        load.close()
        edge.stop()
        block.release()
