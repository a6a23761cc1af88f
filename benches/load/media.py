#!/usr/bin/env python3
"""What a relayed packet costs, whole process and kernel included: warmline beside rtpengine, on the same streams in turns.

Both have the same calls: G.711 in packets of 20 ms, both ways, a socket a leg. `plain`: RTP to RTP. `gateway`: every
second leg has SRTP with keys in the descriptions. warmline's calls are set up by SIP (mode = "relay"), those of rtpengine,
in user space with one worker thread, by its ng protocol. One stream is one direction. Every packet that came through is
checked octet by octet, and opened where it was protected.

CPU is the schedstat of all threads of the server's process tree, reports and timers included, divided by the packets that
it received and sent. The ratio is the median over pairs of rounds that ran one after the other, rtpengine's cost over ours:
above 1 we are cheaper. A pair in which a packet in a thousand was lost is dropped and counted.

Runs in a network namespace of its own like run.py.
"""

import argparse
import base64
import os
import pathlib
import random
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import run as rig

EDGE = """[edge]
domain = "edge.test"
[[listen]]
transport = "udp"
address = "{address}:5060"
[media]
mode = "relay"
ports = [20000, 31999]
timeout_s = 3600
[ladder]
calls = 0
[[peer]]
name = "caller"
match = ["{caller}/32"]
auth = "none"
[[peer]]
name = "callee"
match = ["{callee}/32"]
auth = "none"
srtp = "{srtp}"
[[route]]
match = "^service9$"
to = "sip:{callee}:5079"
"""
RTPENGINE = ["rtpengine", "--foreground", "--log-stderr", "--log-level=3", "--table=-1", "--num-threads=1", "--timeout=3600",
             "--silent-timeout=3600", "--port-min=20000", "--port-max=31999", "--pidfile=/dev/null"]
NG = 2223
# Where the parties send from and listen, by relay; its ports tell their legs apart.
PARTIES = {"warmline": 6000, "rtpengine": 6002}
TARGET = {"plain": 1.3, "gateway": 1.3}


# --- descriptions --------------------------------------------------------------------------------------------------------

def where(sdp):
    """The address and port that a description names."""
    address = re.search(r"^c=IN IP4 (\S+)", sdp, re.M)[1]
    return f"{address}:{re.search(r'^m=audio ([0-9]+)', sdp, re.M)[1]}"


def crypto(sdp, suite):
    """Tag and key (in hexadecimal) of the line with this suite."""
    found = re.search(rf"^a=crypto:(\d+) {suite} inline:([A-Za-z0-9+/=]+)", sdp, re.M)
    if not found:
        raise SystemExit(f"no {suite} in:\n{sdp}")
    return found[1], base64.b64decode(found[2] + "==").hex()


class Described:
    """The parties' descriptions; with a suite the callee has SRTP."""

    def __init__(self, server, suite):
        self.suite, self.ours, self.theirs = suite, "", ""
        self.port = PARTIES[server.name]

    def offer(self):
        return rig.plain(rig.CALLER, self.port)

    def answer(self, offered):
        sdp = rig.plain(rig.CALLEE, self.port)
        if not self.suite:
            return sdp
        tag, self.theirs = crypto(offered, self.suite)
        key = random.randbytes(30 if self.suite.endswith("80") else 28)
        self.ours = key.hex()
        return sdp.replace("RTP/AVP", "RTP/SAVP") + f"a=crypto:{tag} {self.suite} inline:{base64.b64encode(key).decode()}\r\n"

    def plan(self, offered, answered):
        """The lines of both legs, once the relay has described itself to both parties."""
        keys = f" {self.suite} {self.ours} {self.theirs}" if self.suite else ""
        return [f"{rig.CALLER}:{self.port} {where(answered)}", f"{rig.CALLEE}:{self.port} {where(offered)}{keys}"]


# --- calls ---------------------------------------------------------------------------------------------------------------

def calls_by_sip(server, count, suite):
    parties, plan = rig.Parties(server), []
    for number in range(count):
        described = Described(server, suite)
        plan += described.plan(*parties.call(number, described.offer(), described.answer))
    parties.close()
    return plan


def bencode(value):
    if isinstance(value, str):
        return f"{len(value.encode())}:{value}"
    if isinstance(value, list):
        return "l" + "".join(map(bencode, value)) + "e"
    return "d" + "".join(bencode(key) + bencode(item) for key, item in sorted(value.items())) + "e"


def bencoded(text, at, key):
    """The string that stands behind a key of an answer."""
    at = text.index(f"{len(key)}:{key}", at) + len(f"{len(key)}:{key}")
    length, rest = text[at:].split(":", 1)
    return rest[:int(length)]


def ng(side, server, number, command, **more):
    order = bencode({"command": command, "call-id": f"load-{number}", "from-tag": f"h{number}", **more})
    side.sendto(f"{number}-{command} {order}".encode(), (server.address, NG))
    answer = side.recv(65535).decode()
    if bencoded(answer, 0, "result") != "ok":
        raise SystemExit(f"rtpengine refused {command}: {answer}")
    return bencoded(answer, 0, "sdp")


def calls_by_ng(server, count, suite):
    plan = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as side:
        side.settimeout(2)
        for number in range(count):
            described = Described(server, suite)
            profile = {"transport-protocol": "RTP/SAVP" if suite else "RTP/AVP", "ICE": "remove", "DTLS": "off"}
            offered = ng(side, server, number, "offer", sdp=described.offer(), **profile)
            back = {"transport-protocol": "RTP/AVP", "ICE": "remove", "to-tag": f"c{number}"}
            answered = ng(side, server, number, "answer", sdp=described.answer(offered), **back)
            plan += described.plan(offered, answered)
    return plan


def pings(address):
    """Whether an rtpengine answers there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as side:
        side.settimeout(0.3)
        try:
            side.sendto(b"0 d7:command4:pinge", (address, NG))
            return b"pong" in side.recv(65535)
        except OSError:
            time.sleep(0.1)
            return False


# --- rounds --------------------------------------------------------------------------------------------------------------

class Talk:
    """The parties of one server's calls."""

    def __init__(self, program, server, plan, folder):
        path = folder / f"{server.name}.plan"
        path.write_text("\n".join(plan) + "\n", encoding="ascii")
        self.server = server
        self.process = subprocess.Popen([program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def round(self, seconds):
        """µs of the server's CPU a packet received and sent, and the share of packets that were lost."""
        before = rig.cpu(self.server.process.pid)
        if self.process.poll() is None:
            self.process.stdin.write(f"go {seconds}\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline().split()
        if len(line) != 3:
            raise SystemExit(f"{self.server.name}: its parties ended")
        sent, received = int(line[0]), int(line[1])
        if not received:
            raise SystemExit(f"{self.server.name}: nothing came through")
        return (rig.cpu(self.server.process.pid) - before) / received * 1e6, 1 - received / sent

    def stop(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it ended before
        self.process.wait()


def compare(talks, given):
    kept, dropped = [], 0
    for talk in talks:
        talk.round(0.5)
    for number in range(given.rounds):
        order = talks if number % 2 == 0 else talks[::-1]
        spent = {talk.server.name: talk.round(given.seconds) for talk in order}
        lost = max(share for _, share in spent.values())
        each = ", ".join(f"{name} {cost:.2f} µs" for name, (cost, _) in sorted(spent.items(), reverse=True))
        print(f"  round {number + 1} of {given.rounds}: {each}{f', {lost:.2%} lost' if lost else ''}", flush=True)
        if lost > 0.001:
            dropped += 1
        else:
            kept.append({name: cost for name, (cost, _) in spent.items()})
    return kept, dropped


def measure(kind, streams, commands, given, folder):
    """One kind of calls, so many streams; the medians of both."""
    suite = given.suite if kind == "gateway" else ""
    print(f"\n{kind}, {streams} streams of 50 packets/s{f', {suite}' if suite else ''}; load average {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} CPUs", flush=True)
    config = folder / "edge.toml"
    config.write_text(EDGE.format(address=rig.SERVERS["warmline"], caller=rig.CALLER, callee=rig.CALLEE,
                                  srtp="required" if suite else "off"), encoding="utf-8")
    servers, talks = [], []
    try:
        for name, command in commands.items():
            ours = name == "warmline"
            servers.append(rig.Server(name, command, folder, None if ours else pings))
            plan = (calls_by_sip if ours else calls_by_ng)(servers[-1], streams // 2, suite)
            talks.append(Talk(given.load, servers[-1], plan, folder))
        kept, dropped = compare(talks, given)
    finally:
        for talk in talks:
            talk.stop()
        for server in servers:
            server.stop()
    report(kind, streams, kept, dropped)
    return {name: statistics.median(spent[name] for spent in kept) for name in commands} if kept else {}


def report(kind, streams, kept, dropped):
    print(f"  {dropped} pairs dropped")
    if not kept:
        print("  no pair was clean: the machine is too busy for so many streams")
        return
    for name in kept[0]:
        values = [spent[name] for spent in kept]
        print(f"  {name}: {statistics.median(values):.2f} µs of CPU a packet received and sent ({min(values):.2f} to "
              f"{max(values):.2f}), {1e6 / statistics.median(values):,.0f} packets a CPU second")
    if len(kept[0]) == 2:
        ratios = [spent["rtpengine"] / spent["warmline"] for spent in kept]
        print(f"  {statistics.median(ratios):.3f} × rtpengine's packets a CPU second ({min(ratios):.3f} to "
              f"{max(ratios):.3f}), target {TARGET[kind]}")
        print(f"ratio media/{kind}_{streams} {statistics.median(ratios):.3f}")


# --- the command line ----------------------------------------------------------------------------------------------------

def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 streams, 3 pairs of rounds of 2 s (less than a minute)")
    parser.add_argument("--streams", type=int, action="append", help="may be given again (10, 100, 900 and 2,000)")
    parser.add_argument("--kind", choices=TARGET, action="append", help="plain and gateway")
    parser.add_argument("--suite", default="AES_CM_128_HMAC_SHA1_80", choices=["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"],
                        help="of the gateway's SRTP")
    parser.add_argument("--rounds", type=int, help="pairs of rounds (7)")
    parser.add_argument("--seconds", type=float, help="of a round (4)")
    parser.add_argument("--edge", help="the binary ($WARMLINE, else target/release/warmline, built if it is not there)")
    parser.add_argument("--load", help="the parties (target/release/examples/rtp_load, built if it is not there)")
    parser.add_argument("--without-rtpengine", action="store_true", help="measure warmline alone")
    given = parser.parse_args()
    form = (3, 2.0, [200]) if given.quick else (7, 4.0, [10, 100, 900, 2_000])
    given.rounds, given.seconds = given.rounds or form[0], given.seconds or form[1]
    given.streams, given.kind = given.streams or form[2], given.kind or list(TARGET)
    return given


def parties(given):
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", rig.REPOSITORY / "target"))
    path = pathlib.Path(given.load or target / "release/examples/rtp_load").resolve()
    if not path.is_file():
        print("building the parties (cargo build --release --example rtp_load) …", flush=True)
        subprocess.run(["cargo", "build", "--release", "--quiet", "--example", "rtp_load"], cwd=rig.REPOSITORY, check=True,
                       stdin=subprocess.DEVNULL)
    return str(path)


def main():
    given = arguments()
    rig.require(["ip", "unshare"] + ([] if given.without_rtpengine else ["rtpengine"]))
    given.load, edge = parties(given), rig.binary(given)
    rig.enter_namespace(__file__)
    # Two sockets a leg, and each server's at once.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="warmline-media."))
    folder.chmod(0o755)
    commands = {"warmline": [edge, "run", "--config", str(folder / "edge.toml")]}
    if not given.without_rtpengine:
        address = rig.SERVERS["rtpengine"]
        commands["rtpengine"] = [*RTPENGINE, f"--interface={address}", f"--listen-ng={address}:{NG}"]
    spoiled = False
    try:
        for kind in given.kind:
            medians = {streams: measure(kind, streams, commands, given, folder) for streams in given.streams}
            spoiled = spoiled or not all(medians.values())
            first, last = min(given.streams), max(given.streams)
            for name in commands if first < last and medians[first] and medians[last] else ():
                print(f"ratio media/{kind}_{name}_{last}_over_{first} {medians[last][name] / medians[first][name]:.3f}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if spoiled else 0


if __name__ == "__main__":
    sys.exit(main())
