"""One flow: an edge of its own, SIPp for every party, and what must be true afterwards."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time
import tomllib

from parts import expand
from rig.edge import REPOSITORY, Edge
from rig.kamailio import Kamailio
from rig.net import Block, free_udp_port, udp_is_bound, wait_until
from rig.sipp import Newer, learn_dialog, requests_received

HERE = pathlib.Path(__file__).resolve().parent
LOGS = REPOSITORY / "target/sip-scenarios"
DOMAIN = "example.test"
CARRIER = 40  # the last part of the address that the edge trusts without a password
PROXY = {"phones": 5, "carrier": 6}  # where Kamailio listens, if it stands between
DRAIN_SECONDS = 45  # a transaction may outlive its dialog by 64*T1, or by timer D's 32 s (RFC 3261 §17)
CONFIGURATION = """\
[edge]
domain = "{domain}"
{keys}
[registrar]
digest = ["md5"]  # SIPp 3.6 knows no other

[timers]
t1_ms = 100
{timers}
"""
LISTEN = """
[[listen]]
transport = "{transport}"
address = "{address}"
"""
TRUSTED = """
[[peer]]
name = "{name}"
match = ["{address}"]
auth = "none"
{keys}
"""
USER = """
[[user]]
name = "{user}"
password = "pw{user}"
"""
# What begins and what must end it, once, whatever happens in between.
BALANCE = (("leg.started", ("leg.ended",), "leg"), ("call.started", ("call.ended",), "call"),
           ("transfer.requested", ("transfer.completed", "transfer.failed"), "transfer"))


class Failed(Exception):
    """What was not as the flow says."""


class Flow:
    """What a flow.toml says. See `sip-scenarios/run --help` for its keys."""

    def __init__(self, name):
        self.name, self.folder = name, HERE / name
        text = (self.folder / "flow.toml").read_text(encoding="utf-8")
        if not text.startswith("# Proves: "):
            raise Failed(f"{name}/flow.toml does not say in its first line what it proves")
        said = tomllib.loads(text)
        self.proves = text.splitlines()[0].removeprefix("# Proves: ")
        self.events, self.also, self.never = said["events"], said.get("also", []), said.get("never", [])
        self.parties, self.orders = said["party"], said.get("order", [])
        self.count, self.records = said.get("count", {}), said.get("record", [])
        self.keys = {"transfer": "native"} | said.get("edge", {})
        self.timers, self.more, self.trunk = said.get("timers", {}), said.get("more", ""), said.get("carrier", {})
        self.family, self.proxied, self.trusted = said.get("family", 4), said.get("kamailio", False), said.get("trusted", [])
        self.needs, self.logs = said.get("needs", []), LOGS / name.replace("/", "-")

    def lacks(self):
        """The packages without which this flow cannot be played."""
        found = {"kamailio": Kamailio.installed, "sipp-tls": Newer.installed}
        return [need for need in self.needs if not found[need]()]

    def run(self, options, turn):
        """Plays it; `turn` is held while the parties are busy, and not while the last transactions run out."""
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)
        # A second of G.711 µ-law for whoever talks (`rtp_stream`): 500 Hz, a cycle of sixteen samples over and over.
        (self.logs / "tone.ulaw").write_bytes(bytes.fromhex("ff9f8f878187 8f9f 7f1f0f0701070f1f".replace(" ", "")) * 500)
        if options.foreign:
            self.edge_address = (options.foreign, 5060)
            return self._play(options.foreign.rsplit(".", 1)[0], None)
        block = Block()
        try:
            with turn:
                self.edge_address = (block.host(1), 5060) if self.family == 4 else ("::1", free_udp_port("::1"))
                edge = Edge(block.host(1), self._configuration(block), self.logs, options.edge_command)
                proxy = Kamailio([block.host(last) for last in PROXY.values()], block.host(1), self.logs) if self.proxied else None
                try:
                    self._play(f"127.0.{block.number}", edge)
                    self._judge(edge)
                    if proxy:
                        self._judge_routes()
                except BaseException:
                    edge.stop()
                    raise
                finally:
                    if proxy:
                        proxy.stop()
            try:
                edge.wait_until_empty(DRAIN_SECONDS)
                self._balance(edge)
                if not edge.alive():
                    raise Failed(f"the edge died: {edge.tail()}")
            finally:
                edge.stop()
        finally:
            block.release()

    # --- the edge --------------------------------------------------------------------------------------------------

    def _configuration(self, block):
        def lines(table):
            return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())

        host, port = self.edge_address
        written = f"[{host}]" if ":" in host else host
        text = CONFIGURATION.format(domain=DOMAIN, keys=lines(self.keys), timers=lines(self.timers))
        for transport in ("udp", "tcp"):
            text += LISTEN.format(transport=transport, address=f"{written}:{port}")
        if "sipp-tls" in self.needs:
            text += LISTEN.format(transport="tls", address=f"{written}:{port + 1}")
            text += f'\n[tls]\nstate = "{self.logs}"\n'
        carrier = block.host(PROXY["carrier"]) if self.proxied else block.host(CARRIER)
        carrier = f"{carrier}/32" if self.family == 4 else "::1/128"
        text += TRUSTED.format(name="carrier", address=carrier, keys=lines(self.trunk))
        for user in self.trusted:
            text += TRUSTED.format(name=user, address=f"{block.host(20 + int(user) % 100)}/32", keys="")
        users = sorted({party["user"] for party in self.parties if "user" in party} | {"1001", "1002", "1003"})
        text += "".join(USER.format(user=user) for user in users)
        return text + "\n" + self.more.replace("{carrier}", block.host(CARRIER)).replace("{block}", f"127.0.{block.number}")

    def _judge(self, edge):
        edge.wait_for_events(self.events, 5)
        for name in self.also:
            edge.wait_for_events([name], 5)
        came = edge.names()
        unwanted = sorted(set(came) & set(self.never))
        if unwanted:
            raise Failed(f"events that must not come: {', '.join(unwanted)}; all: {came}")
        for name, wanted in self.count.items():
            if came.count(name) != wanted:
                raise Failed(f"{name} came {came.count(name)} times, not {wanted}; all: {came}")
        for record in self.records:
            if not any(record.items() <= data.items() for data in edge.data()):
                raise Failed(f"no event says {record}; see events.log")

    def _judge_routes(self):
        """Whatever reached a party came through the proxy: no request took a short cut past a route set."""
        hosts = [f"{self.network}.{last}" for last in PROXY.values()]
        for trace in self.logs.glob("*.messages"):
            for via in requests_received(trace.read_text(encoding="utf-8", errors="replace")):
                if not any(host in via[1] for host in hosts):
                    raise Failed(f"{trace.stem} got {via[0]} past the proxy: {via[1]}")

    @staticmethod
    def _balance(edge):
        """Every leg, call and transfer that the edge told of ended, once, and with a cause; every call left its ladder."""
        data = edge.data()
        for begins, ends, key in BALANCE:
            begun = sorted(one[key] for one in data if one["event"] == begins)
            ended = sorted(one[key] for one in data if one["event"] in ends)
            if begun != ended:
                raise Failed(f"the records do not balance: {begins} {begun}, {' or '.join(ends)} {ended}")
        for call in (one["call"] for one in data if one["event"] == "call.started"):
            status, ladder = edge.request("GET", f"/v1/calls/{call}/ladder")
            if status != 200 or "INVITE" not in json.dumps(ladder):
                raise Failed(f"nothing is kept of {call}, which has ended: {status} {ladder}")
        silent = [one for one in data if one["event"] in ("leg.ended", "call.ended") and not one.get("cause")]
        if silent:
            raise Failed(f"ended without a cause: {silent}")

    # --- the parties -----------------------------------------------------------------------------------------------

    def _play(self, network, edge):
        """Starts the parties, the waiting ones first, then what waits for an event, and asks everyone for a verdict."""
        self.network, self.ports = network, {}
        running = []
        try:
            later = [party for party in self.parties if "after" in party] + self.orders
            for party in self.parties:
                if "user" in party and not party.get("unregistered"):
                    self._register(party)
            for party in sorted((party for party in self.parties if "after" not in party), key=lambda party: party.get("calls", False)):
                running.append(self._start(party, {}))
            for step in sorted(later, key=lambda step: step.get("step", 0)):
                edge.wait_for_events(step["after"] if isinstance(step["after"], list) else [step["after"]], 25)
                time.sleep(step.get("pause_ms", 0) / 1000)
                if "path" in step:
                    self._order(edge, step)
                else:
                    running.append(self._start(step, learn_dialog(self.logs / f"{step['knows']}.messages") if "knows" in step else {}))
            failures = self._verdicts(running)
            if failures:
                raise Failed("\n".join(failures))
        finally:
            for _, process in running:
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def _register(self, party):
        name = f"register-{self._name(party)}"
        done = self._sipp(HERE / "common/register.xml", name, party, {})
        if done.wait() != 0:
            raise Failed(f"{self._name(party)} could not register as {party['user']}: {self._why(name)}")

    def _start(self, party, known):
        name = self._name(party)
        process = self._sipp(self._scenario(party), name, party, known)
        address, port = self._place(party)
        if party.get("transport", "udp") == "udp" and not party.get("calls") and not wait_until(
                lambda: process.poll() is not None or udp_is_bound(address, port), 5):
            process.kill()
            raise Failed(f"{name} does not listen on {address}:{port}: {self._why(name)}")
        return name, process

    def _order(self, edge, order):
        """What an API client does. `{leg:1002}` stands for the newest leg of that party, `{call:1002}` for its call."""
        text = json.dumps([order["path"], order.get("body")])
        newest = {one["party"].partition(":")[2].partition("@")[0]: one for one in edge.data() if one["event"] == "leg.started"}
        for user, one in newest.items():
            text = text.replace(f"{{leg:{user}}}", one["leg"]).replace(f"{{call:{user}}}", one["call"] or "")
        path, body = json.loads(text)
        status, answer = edge.request(order["method"], path, body)
        if status != order.get("status", 200):
            raise Failed(f"{order['method']} {path} {body} was answered {status}: {answer}")

    def _verdicts(self, running):
        """Waits for everybody. Once one has failed the others get three seconds: they would wait for it in vain."""
        end = None
        while waiting := [process for _, process in running if process.poll() is None]:
            if end is None and any(process.poll() for _, process in running):
                end = time.monotonic() + 3
            if end is not None and time.monotonic() > end:
                break
            try:
                waiting[0].wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        ended = [(name, process.poll()) for name, process in running]
        failures = [f"{name}: SIPp ended with {code}: {self._why(name)}" for name, code in ended if code]
        return failures + [f"{name}: still waiting" for name, code in ended if code is None]

    @staticmethod
    def _name(party):
        return party.get("name") or pathlib.Path(party["scenario"]).stem

    def _scenario(self, party):
        own = self.folder / party["scenario"]
        return own if own.exists() else HERE / "common" / party["scenario"]

    def _place(self, party):
        """Address and port. Phones from .21 on, in the order of the users; whoever is no user comes from the carrier."""
        if self.family == 6:
            # One address for all: a port for each.
            return "::1", self.ports.setdefault(self._name(party), None) or self._new_port(party)
        last = 20 + int(party["user"]) % 100 if "user" in party else CARRIER
        return f"{self.network}.{last + 100 * party.get('seat', 0)}", 5061 if party.get("transport") == "tls" else 5060

    def _new_port(self, party):
        self.ports[self._name(party)] = free_udp_port("::1")
        return self.ports[self._name(party)]

    def _next_hop(self, party):
        host, port = self.edge_address
        if self.proxied:
            host = f"{self.network}.{PROXY['phones' if 'user' in party else 'carrier']}"
        if party.get("transport") == "tls":
            port += 1
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _sipp(self, scenario, name, party, known):
        user, transport = party.get("user", "carrier"), party.get("transport", "udp")
        address, port = self._place(party)
        text = self.logs / f"{name}.xml"
        text.write_text(expand(scenario, {key: str(value) for key, value in party.get("with", {}).items()} | known), encoding="utf-8")
        program, mode = (["sipp"], {"udp": "u1", "tcp": "t1"}) if transport != "tls" else (Newer.command(self.logs), {"tls": "l1"})
        words = [*program, self._next_hop(party), "-sf", str(text), "-i", address, "-p", str(port), "-ci", address, "-mi", address,
                 "-t", mode[transport], "-m", str(party.get("times", 1)), "-nostdin",
                 "-recv_timeout", str(party.get("patience_ms", 10000)), "-timeout", "60", "-timeout_error",
                 "-key", "domain", DOMAIN, "-key", "user", user, "-au", user, "-ap", f"pw{user}", "-auth_uri", party.get("auth_uri", DOMAIN),
                 # a busy machine is no failure of the flow
                 "-watchdog_interval", "0",
                 "-trace_msg", "-message_file", str(self.logs / f"{name}.messages"),
                 "-trace_err", "-error_file", str(self.logs / f"{name}.errors")]
        if party.get("echoes"):
            words += ["-rtp_echo", "-mp", "41000"]
        with open(self.logs / f"{name}.screen", "wb") as log:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self.logs,
                                    env=dict(os.environ, TERM="dumb"))

    def _why(self, name):
        """What the scenario says went wrong, or the first thing that SIPp complained about."""
        path = self.logs / f"{name}.errors"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        # SIPp ends no warning with a line feed: the next one's date follows on its heels.
        said = re.findall(r"fails: (.*?)(?:\d{4}-\d\d-\d\d\t|$)", "\n".join(lines), re.MULTILINE)
        # A timeout with a label to go to is part of the scenario.
        complaints = [line for line in lines if line.strip() and "jumping to label" not in line and "following events" not in line]
        if said or complaints:
            return (said or [" ".join(" ".join(complaints).split())])[0][:700]
        screen = (self.logs / f"{name}.screen").read_text(encoding="utf-8", errors="replace")
        return " ".join(screen[-400:].split()) or "it says nothing"


class Turn:
    """At most so many flows play at once; what only waits does not count."""

    def __init__(self, most):
        self._seats = threading.Semaphore(most)

    def __enter__(self):
        self._seats.acquire()

    def __exit__(self, *_):
        self._seats.release()
