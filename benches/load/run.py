#!/usr/bin/env python3
"""What a call costs, whole process and kernel included: warmline beside Kamailio, under the same load in turns.

SIPp calls SIPp over UDP on loopback: INVITE, 180, 200, ACK, BYE, 200. Between them stands, in turns, the release build of
warmline (a call of two legs, each a dialog of its own) and Kamailio with tm, rr and dialog (one dialog, proxied).

CPU is the schedstat of all threads of the server's process tree, from before the load until every transaction of it has
ended, less what the idle server costs in that time, divided by the calls. The ratio is the median over pairs of rounds
that ran one after the other. A pair with a failed call or a retransmission is dropped and counted.

Runs in a network namespace of its own when it is root or may make a user namespace, so that no port meets another's.
"""

import argparse
import csv
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
CALLER, CALLEE = "127.0.0.1", "127.0.0.3"
SERVERS = {"warmline": "127.0.0.2", "kamailio": "127.0.0.4", "rtpengine": "127.0.0.5"}
# An INVITE transaction lives 32 s after its 2xx (RFC 6026, timers L and M).
TRANSACTIONS_END = 34.0
# SIPp's own limit is about 2,000 calls a second.
CALLS_OF_ONE_SIPP = 1_300
IN_NAMESPACE = "WARMLINE_LOAD_IN_NAMESPACE"

EDGE = """[edge]
domain = "edge.test"
[[listen]]
transport = "udp"
address = "127.0.0.2:5060"
[[peer]]
name = "load"
match = ["127.0.0.0/8"]
auth = "none"
"""
ROUTE = """[[route]]
match = "^service{n}$"
to = "sip:127.0.0.3:507{n}"
"""


# --- a process tree ------------------------------------------------------------------------------------------------------

def tree(root):
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as stat:
                    parents[int(name)] = int(stat.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass  # it has just ended
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


def cpu(root):
    """Seconds on a CPU of all threads of the tree."""
    spent = 0
    for process in tree(root):
        try:
            for thread in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{thread}/schedstat", encoding="ascii") as stat:
                    spent += int(stat.read().split()[0])
        except OSError:
            pass
    return spent / 1e9


def memory(root):
    """Proportional resident size of the tree, in bytes."""
    size = 0
    for process in tree(root):
        try:
            with open(f"/proc/{process}/smaps_rollup", encoding="ascii") as lines:
                size += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        except OSError:
            pass
    return size


class Server:
    """One of the two, in the foreground."""

    def __init__(self, name, command, folder, is_up=None):
        self.name, self.address = name, SERVERS[name]
        is_up = is_up or answers
        self.log = folder / f"{name}.log"
        self.idle, self.peak = 0.0, 0
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            cwd=folder, env={**os.environ, "RUST_LOG": "error"}, start_new_session=True)
        end = time.monotonic() + 30
        while not is_up(self.address):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise SystemExit(f"{name} does not answer:\n{self.log.read_text(errors='replace')[-2000:]}")

    def measure_idle(self, seconds):
        """CPU that it needs for nothing, a second."""
        before = cpu(self.process.pid)
        time.sleep(seconds)
        self.idle = (cpu(self.process.pid) - before) / seconds

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def answers(address):
    """Whether something answers SIP there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((CALLER, 0))
        probe.settimeout(0.3)
        here = f"{CALLER}:{probe.getsockname()[1]}"
        options = (f"OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{random.getrandbits(64):x}\r\n"
                   f"From: <sip:probe@{here}>;tag=1\r\nTo: <sip:{address}>\r\nCall-ID: {random.getrandbits(64):x}\r\n"
                   "CSeq: 1 OPTIONS\r\nMax-Forwards: 0\r\nContent-Length: 0\r\n\r\n")
        try:
            probe.sendto(options.encode(), (address, 5060))
            return probe.recv(65535).startswith(b"SIP/2.0 ")
        except OSError:
            time.sleep(0.1)
            return False


# --- the load ------------------------------------------------------------------------------------------------------------

class Spoiled(Exception):
    """A failed call or a retransmission: what was measured is something else."""


def sipp(folder, name, arguments):
    for old in folder.glob(f"{name}.*"):
        old.unlink()
    with open(folder / f"{name}.out", "wb") as out:
        return subprocess.Popen(["sipp", *arguments, "-nostdin", "-buff_size", "4000000", "-trace_stat", "-fd", "1",
                                 "-stf", str(folder / f"{name}.csv")], stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT, cwd=folder)


def result(folder, name):
    with open(folder / f"{name}.csv", newline="", encoding="ascii", errors="replace") as rows:
        last = list(csv.DictReader(rows, delimiter=";"))[-1]
    return tuple(int(last[key]) for key in ("SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)"))


def load(server, calls, rate, folder):
    """Runs the calls through a server; the time at which the last one ended, and the CPU before the first."""
    pairs = -(-rate // CALLS_OF_ONE_SIPP)
    each = calls // pairs
    callees = [sipp(folder, f"callee{n}", ["-sf", str(HERE / "callee.xml"), "-i", CALLEE, "-p", str(5070 + n)])
               for n in range(pairs)]
    try:
        time.sleep(0.7)
        before, start = cpu(server.process.pid), time.monotonic()
        limit = each * pairs / rate * 3 + 30
        callers = [sipp(folder, f"caller{n}", ["-sf", str(HERE / "caller.xml"), f"{server.address}:5060", "-i", CALLER,
                                               "-p", str(5080 + n), "-s", f"service{n}", "-d", "100", "-l", str(each),
                                               "-r", str(rate // pairs), "-m", str(each), "-recv_timeout", "8000",
                                               "-timeout", str(int(limit))]) for n in range(pairs)]
        for caller in callers:
            caller.wait(limit + 30)
        end = time.monotonic()
        time.sleep(0.3)
    finally:
        for callee in callees:
            callee.kill()
            callee.wait()
    counts = [result(folder, f"{side}{n}") for side in ("caller", "callee") for n in range(pairs)]
    done = sum(count[0] for count in counts[:pairs])
    failed, again = sum(count[1] for count in counts[:pairs]), sum(count[2] for count in counts)
    wrong = f"{server.name}: {failed} failed, {again} retransmissions" if failed or again or done < each * pairs else ""
    server.peak = max(server.peak, memory(server.process.pid))
    return before, start, end, done, wrong


def pair(servers, calls, rate, settle, folder):
    """One round of each; µs of CPU a call by name. The second's load runs while the first's transactions end."""
    rounds = [(server, *load(server, calls, rate, folder)) for server in servers]
    spent, wrong = {}, []
    for server, before, start, end, done, fault in rounds:
        time.sleep(max(0.0, end + settle - time.monotonic()))
        used = cpu(server.process.pid) - before - server.idle * (time.monotonic() - start)
        spent[server.name] = used / max(done, 1) * 1e6
        if fault:
            wrong.append(fault)
    if wrong:
        raise Spoiled("; ".join(wrong))
    return spent


def compare(servers, rounds, calls, rate, settle, folder):
    kept, dropped = [], 0
    for number in range(rounds):
        order = servers if number % 2 == 0 else servers[::-1]
        try:
            spent = pair(order, calls, rate, settle, folder)
        except Spoiled as why:
            dropped += 1
            print(f"  round {number + 1} of {rounds}: dropped ({why})", flush=True)
            continue
        kept.append(spent)
        each = ", ".join(f"{name} {value:.1f}" for name, value in sorted(spent.items(), reverse=True))
        print(f"  round {number + 1} of {rounds}: {each} µs of CPU a call", flush=True)
    return kept, dropped


# --- calls that stay up --------------------------------------------------------------------------------------------------

def plain(address, port):
    """A session description of somebody with G.711."""
    return (f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
            "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n")


def body(sdp):
    return f"Content-Type: application/sdp\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}"


class Parties:
    """A plain socket that calls another one, which answers at once and remembers nothing; the calls stay up."""

    def __init__(self, server):
        self.server = server
        self.caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.callee = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for side, address in ((self.caller, (CALLER, 5090)), (self.callee, (CALLEE, 5079))):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
            side.bind(address)
            side.settimeout(2)

    def close(self):
        self.caller.close()
        self.callee.close()

    def call(self, number, offer, answer):
        """Sets up one call; `answer` makes the callee's description of what it was offered. What each was told."""
        common = f"From: <sip:caller@{CALLER}:5090>;tag=h{number}\r\nCall-ID: {number}-held@{CALLER}\r\nMax-Forwards: 70\r\n"
        here = (self.server.address, 5060)
        to = f"sip:service9@{self.server.address}:5060"
        self.caller.sendto(
            (f"INVITE {to} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER}:5090;branch=z9hG4bKh{number}\r\n{common}To: <{to}>\r\n"
             f"CSeq: 1 INVITE\r\nContact: <sip:caller@{CALLER}:5090;transport=UDP>\r\nSupported: replaces\r\n"
             f"{body(offer)}").encode(), here)
        lines, offered = self.wait(self.callee, "INVITE ")
        wanted = ("via:", "record-route:", "from:", "call-id:", "cseq:")
        kept = [line for line in lines if line.lower().startswith(wanted)]
        own = next(line for line in lines if line.lower().startswith("to:"))
        self.callee.sendto("\r\n".join(["SIP/2.0 200 OK", *kept, f"{own};tag=c{number}",
                                        f"Contact: <sip:{CALLEE}:5079;transport=UDP>", "Supported: replaces",
                                        body(answer(offered))]).encode(), here)
        lines, answered = self.wait(self.caller, "SIP/2.0 200")
        value = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines if ":" in line}
        routes = "".join(f"Route: {line.split(':', 1)[1].strip()}\r\n" for line in reversed(lines)
                         if line.lower().startswith("record-route:"))
        self.caller.sendto(
            (f"ACK {value['contact'].strip('<>')} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER}:5090;branch=z9hG4bKa{number}\r\n"
             f"{routes}{common}To: {value['to']}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n").encode(), here)
        return offered, answered

    @staticmethod
    def wait(side, start):
        while True:
            head, _, content = side.recv(65535).decode().partition("\r\n\r\n")
            if head.startswith(start):
                return head.split("\r\n"), content


def hold(server, count, first):
    """Sets up calls that stay up."""
    parties, sdp = Parties(server), plain("127.0.0.1", 6000)
    told = time.monotonic()
    for call in range(first, first + count):
        parties.call(call, sdp, lambda _: sdp)
        if time.monotonic() - told > 5:
            told = time.monotonic()
            print(f"  {server.name}: {call - first + 1} of {count} calls held", flush=True)
    parties.close()


def flatness(servers, held, rounds, calls, rate, folder):
    """CPU a call with nothing held and with `held` calls, and what a held call weighs."""
    print(f"\n{held} calls held, at {rate} calls/s:")
    empty, _ = compare(servers, rounds, calls, rate, TRANSACTIONS_END, folder)
    for server in servers:
        before = memory(server.process.pid)
        hold(server, held, 0)
        time.sleep(TRANSACTIONS_END + 6)
        weight = (memory(server.process.pid) - before) / held
        server.measure_idle(5)
        print(f"  {server.name}: {weight:.0f} bytes a held call, everything shared counted")
    full, _ = compare(servers, rounds, calls, rate, TRANSACTIONS_END, folder)
    for server in servers:
        if empty and full:
            ratio = statistics.median(r[server.name] for r in full) / statistics.median(r[server.name] for r in empty)
            print(f"ratio load/{server.name}_held_{held} {ratio:.3f}")


# --- the command line ----------------------------------------------------------------------------------------------------

def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 pairs of rounds of 2,000 calls at 500/s (about 3 minutes)")
    parser.add_argument("--smoke", action="store_true", help="1 pair of 200 calls at 100/s; only that it works (15 s)")
    parser.add_argument("--rounds", type=int, help="pairs of rounds (7)")
    parser.add_argument("--calls", type=int, help="calls of a round (8,000)")
    parser.add_argument("--rate", type=int, action="append", help="calls a second; may be given again (1,000 and 2,500)")
    parser.add_argument("--held", type=int, default=0, help="also hold so many calls and say what that changes")
    parser.add_argument("--edge", help="the binary ($WARMLINE, else target/release/warmline, built if it is not there)")
    parser.add_argument("--without-kamailio", action="store_true", help="measure warmline alone")
    given = parser.parse_args()
    form = (1, 200, [100]) if given.smoke else (3, 2_000, [500]) if given.quick else (7, 8_000, [1_000, 2_500])
    given.rounds, given.calls = given.rounds or form[0], given.calls or form[1]
    given.rate = given.rate or form[2]
    return given


def require(programs):
    packages = {"sipp": "sip-tester", "kamailio": "kamailio", "ip": "iproute2", "unshare": "util-linux",
                "rtpengine": "rtpengine-daemon"}
    lacking = [packages[program] for program in programs if not shutil.which(program)]
    if lacking:
        raise SystemExit(f"{pathlib.Path(sys.argv[0]).name} lacks {', '.join(lacking)}. On Debian: apt-get install --no-install-recommends "
                         f"{' '.join(lacking)}")


def enter_namespace(script=__file__):
    """Starts the script again where the loopback is its own. Falls back to the machine's."""
    if os.environ.get(IN_NAMESPACE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        os.environ[IN_NAMESPACE] = "yes"
        os.execvp(unshare[0], [*unshare, sys.executable, script, *sys.argv[1:]])
    print("no network namespace of its own: ports 5060, 5070 and 5080 of 127.0.0.1 to 127.0.0.4 must be free")


def binary(given):
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    path = pathlib.Path(given.edge or os.environ.get("WARMLINE") or target / "release/warmline").resolve()
    if not path.is_file():
        print("building the edge (cargo build --release) …", flush=True)
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=REPOSITORY, check=True, stdin=subprocess.DEVNULL)
    return str(path)


def main():
    given = arguments()
    require(["sipp", "ip", "unshare"] + ([] if given.without_kamailio else ["kamailio"]))
    enter_namespace()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="warmline-load."))
    folder.chmod(0o755)
    config = folder / "edge.toml"
    config.write_text(EDGE + "".join(ROUTE.format(n=n) for n in range(10)), encoding="utf-8")
    commands = {"warmline": [binary(given), "run", "--config", str(config)]}
    if not given.without_kamailio:
        commands["kamailio"] = ["kamailio", "-f", str(HERE / "kamailio.cfg"), "-DD", "-E", "-m", "2048", "-M", "32", "-X", "fm",
                                "-x", "fm", "-Y", str(folder)]
    servers, spoiled = [], False
    try:
        for name, command in commands.items():
            servers.append(Server(name, command, folder))
        for server in servers:
            server.measure_idle(2 if given.smoke else 5)
        for rate in given.rate:
            print(f"\n{rate} calls/s, {given.rounds} pairs of rounds of {given.calls} calls; load average "
                  f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs", flush=True)
            kept, dropped = compare(servers, given.rounds, given.calls, rate, 1.0 if given.smoke else TRANSACTIONS_END, folder)
            spoiled = spoiled or not kept
            report(servers, rate, kept, dropped)
        if given.held:
            flatness(servers, given.held, given.rounds, given.calls, given.rate[0], folder)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if spoiled else 0


def report(servers, rate, kept, dropped):
    print(f"  {dropped} pairs dropped")
    if not kept:
        print("  no pair was clean: the machine is too busy for this rate")
        return
    for server in servers:
        values = [spent[server.name] for spent in kept]
        print(f"  {server.name}: {statistics.median(values):.1f} µs of CPU a call ({min(values):.1f} to {max(values):.1f}), "
              f"{statistics.median(values) / 100:.2f} s a 10,000 calls, peak {server.peak / 1e6:.1f} MB")
    if len(servers) == 2:
        ratios = [spent["warmline"] / spent["kamailio"] for spent in kept]
        print(f"  ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), target 0.75")
        print(f"ratio load/{rate} {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    sys.exit(main())
