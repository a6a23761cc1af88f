#!/usr/bin/env python3
"""1,000 API requests a second against 1,000 live calls, and what that does to signalling.

usage: benches/load/api.py [--rate N] [--calls N] [--seconds N] [--rounds N] [--short] [--limit-ms N]

Starts an edge ($WARMLINE, else the newer build), has a crowd of callers and callees set up the calls, and sends requests over
keep-alive connections at fixed moments, whatever the answers do: a late answer counts from when its request was due. The mix: a
page of 50 calls (10 %), one call (60 %), registrations (10 %), readiness (10 %), hold and resume by turns (10 %). Beside it, 20
calls a second are set up and hung up, once without and once with the requests. Fails when a request fails, when the 99th
percentile is over --limit-ms (default 50), or when a call fails.
"""

import argparse
import asyncio
import json
import multiprocessing
import pathlib
import random
import shutil
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/faults")]

import upgrade
from rig.edge import TOKEN, Edge
from rig.net import Block

CONNECTIONS = 32
MIX = (("page", 10), ("call", 60), ("registrations", 10), ("ready", 10), ("hold", 10))


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


class Signalling(upgrade.Load):
    """Also notes how long each call takes to be answered."""

    def __init__(self, *rest):
        super().__init__(*rest)
        self.since, self.setups = {}, []

    def call(self, number, hold):
        self.since[f"held-{number}@{self.hosts['caller']}"] = time.monotonic()
        super().call(number, hold)

    def take(self, end, text):
        if text.startswith("INVITE") and ";tag=" in upgrade.header(text, "To"):
            return self.offered(end, text)
        call_id = upgrade.header(text, "Call-ID")
        if end == "caller" and text.startswith("SIP/2.0 200") and "INVITE" in upgrade.header(text, "CSeq"):
            begun = self.since.pop(call_id, None)
            if begun is not None:
                self.setups.append(time.monotonic() - begun)
        super().take(end, text)


    def offered(self, end, text):
        """A re-INVITE: somebody is held or taken back (RFC 3264 §6.1)."""
        back = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
        ours = next((back[word] for word in back if f"a={word}\r\n" in text), "sendrecv")
        host = self.hosts[end]
        body = upgrade.SDP.format(host=host, port=10_000).replace("a=sendrecv", f"a={ours}")
        copied = "".join(f"{name}: {upgrade.header(text, name)}\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
        self.send(end, f"SIP/2.0 200 OK\r\n{copied}Contact: <sip:held@{host}:5060>\r\nContent-Type: application/sdp\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n{body}")


def ask(api, rate, seconds, calls, answer):
    """In a process of its own: it must not wait for the phones."""
    asker = Asker(api, rate, seconds, calls)
    asyncio.run(asker.main())
    answer.put((asker.took, asker.wrong, asker.elapsed))


class Asker:
    """Requests at fixed moments over some connections."""

    def __init__(self, api, rate, seconds, calls):
        self.api, self.rate, self.seconds, self.calls = api, rate, seconds, calls
        self.took, self.wrong, self.late = {}, [], 0
        self.held = {}
        self.dice = random.Random(5)

    def request(self, kind):
        if kind == "page":
            return "GET", "/v1/calls?limit=50", (200,)
        if kind == "registrations":
            return "GET", "/v1/registrations", (200,)
        if kind == "ready":
            return "GET", "/readyz", (200,)
        call, leg = self.dice.choice(self.calls)
        if kind == "call":
            return "GET", f"/v1/calls/{call}", (200,)
        self.held[leg] = not self.held.get(leg, False)
        # A hold whose re-INVITE is out is answered 409 to the next one: in a crowd that happens.
        return "POST", f"/v1/legs/{leg}/{'hold' if self.held[leg] else 'resume'}", (202, 204, 409)

    async def connection(self, due):
        reader, writer = await asyncio.open_connection(*self.api)
        while (item := await due.get()) is not None:
            at, kind = item
            method, path, good = self.request(kind)
            body = "{}" if method == "POST" else ""
            more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer {TOKEN}\r\n{more}\r\n{body}".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = head.partition("content-length:")[2].split("\r\n")[0].strip()
            if length:
                await reader.readexactly(int(length))
            status = int(head.split()[1])
            self.took.setdefault(kind, []).append(time.monotonic() - at)
            if status not in good:
                self.wrong.append(f"{method} {path}: {status}")
        writer.close()

    async def main(self):
        due = asyncio.Queue()
        workers = [asyncio.create_task(self.connection(due)) for _ in range(CONNECTIONS)]
        kinds, weights = zip(*MIX)
        begun, sent, total = time.monotonic(), 0, int(self.rate * self.seconds)
        while sent < total:
            now = time.monotonic()
            while sent < total and begun + sent / self.rate <= now:
                due.put_nowait((begun + sent / self.rate, self.dice.choices(kinds, weights)[0]))
                sent += 1
            self.late = max(self.late, due.qsize())
            await asyncio.sleep(0.001)
        for _ in workers:
            due.put_nowait(None)
        await asyncio.gather(*workers)
        self.elapsed = time.monotonic() - begun


def signalled(load, seconds, number, until=None):
    """20 calls a second for so long, or until a thread ends; the setup times and the next number."""
    load.setups.clear()
    end, following = time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < end or (until is not None and until.is_alive()):
        if time.monotonic() >= following and time.monotonic() < end:
            following += 1 / 20
            load.call(number, 1.0)
            number += 3  # never one that rings for a while
        load.turn()
    return list(load.setups), number + 3


def measure(given, folder):
    block = Block()
    host, caller, callee = (block.host(last) for last in (1, 20, 30))
    folder.mkdir(parents=True, exist_ok=True)
    text = upgrade.CONFIGURATION.format(host=host, caller=caller, callee=callee, store=folder / "store.db")
    edge = Edge(host, text, folder / "edge")
    load = Signalling(host, caller, callee)
    try:
        number = 1_000
        for at in range(given.calls):
            load.call(400_001 + 3 * at, None)
            if at % 50 == 49:
                goal = 2 * (at + 1)
                load.until(lambda: len(load.dialogs) >= goal - 20, 60, "calls are not up")
        load.until(lambda: len(load.dialogs) >= 2 * given.calls, 60, "calls are not up")
        calls = [(call["id"], call["legs"][0]["id"]) for call in edge.calls()]
        assert len(calls) == given.calls, f"{len(calls)} calls are up"
        row = {"calls": len(calls)}
        alone, number = signalled(load, given.seconds, number + 1)
        answer = multiprocessing.Queue()
        asker = multiprocessing.Process(target=ask, args=(edge._api, given.rate, given.seconds, calls, answer), daemon=True)
        asker.start()
        waiting = threading.Thread(target=lambda: told.append(answer.get(timeout=given.seconds + 60)))
        told = []
        waiting.start()
        beside, number = signalled(load, given.seconds, number, waiting)
        assert told, "the requests took a minute longer than they should"
        by_kind, wrong, elapsed = told[0]
        took = [second for times in by_kind.values() for second in times]
        row["requests"], row["per_second"] = len(took), round(len(took) / elapsed)
        row["p50_ms"], row["p99_ms"] = (round(1000 * percentile(took, share), 1) for share in (0.5, 0.99))
        row["by_kind_p99_ms"] = {kind: round(1000 * percentile(times, 0.99), 1) for kind, times in sorted(by_kind.items())}
        row["setup_p99_ms"] = (round(1000 * percentile(alone, 0.99), 1), round(1000 * percentile(beside, 0.99), 1))
        row["setups"] = (len(alone), len(beside))
        row["failed_requests"], row["failed_calls"] = len(wrong), len(load.bad)
        print(json.dumps(row), flush=True)
        assert not wrong, wrong[:5]
        assert not load.bad, load.bad[:5]
        assert len(took) == int(given.rate * given.seconds), "requests are missing"
        assert row["p99_ms"] <= given.limit_ms, f"p99 {row['p99_ms']} ms, {given.limit_ms} allowed"
    finally:
        load.close()
        edge.stop()
        block.release()


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rate", type=int)
    words.add_argument("--calls", type=int)
    words.add_argument("--seconds", type=float)
    words.add_argument("--rounds", type=int, default=1)
    words.add_argument("--limit-ms", type=float, default=50)
    words.add_argument("--short", action="store_true")
    given = words.parse_args()
    given.rate = given.rate or (300 if given.short else 1_000)
    given.calls = given.calls or (200 if given.short else 1_000)
    given.seconds = given.seconds or (5 if given.short else 20)
    folder = ROOT / "target/load-api"
    shutil.rmtree(folder, ignore_errors=True)
    passed = failed = 0
    for again in range(given.rounds):
        try:
            measure(given, folder / str(again))
            passed += 1
        except Exception as error:
            print(f"FAILED  {type(error).__name__}: {error}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
