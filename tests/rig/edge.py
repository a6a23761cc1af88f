"""The edge as a process: its configuration, its events, its API, its end."""

import http.client
import json
import os
import pathlib
import shlex
import socket
import subprocess
import threading
import time

from .net import wait_until

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TOKEN = "rig-token"
GAUGES = ("warmline_calls", "warmline_dialogs", "warmline_transfers", "warmline_transactions", "warmline_media_ports")


class EdgeDied(Exception):
    """The edge never answered /healthz, or went away while it was needed."""


def binary():
    """The binary under test: $WARMLINE, else the newer of the two that cargo leaves in target/, else a fresh build."""
    named = os.environ.get("WARMLINE")
    if named:
        return named
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    built = [path for path in (target / "release/warmline", target / "debug/warmline") if path.is_file()]
    if not built:
        print("building the edge (cargo build --release) …", flush=True)
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=REPOSITORY, check=True, stdin=subprocess.DEVNULL)
        built = [target / "release/warmline"]
    return str(max(built, key=lambda path: path.stat().st_mtime))


class Edge:
    """`warmline run --config FILE` with an API on a port of its own and a reader of its event stream.

    `command` replaces the whole command line (the configuration's path is appended): a wrapper, or a dead edge.
    """

    def __init__(self, host, config, folder, command=None):
        self.host, self.folder = host, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.events, self._changed = [], threading.Condition()
        self._api = (host, free_port(host))
        path = self.folder / "edge.toml"
        path.write_text(config + f'\n[api]\nlisten = "{host}:{self._api[1]}"\ntoken = "{TOKEN}"\n', encoding="utf-8")
        words = shlex.split(command) if command else [binary(), "run", "--config"]
        environment = dict(os.environ)
        environment.setdefault("RUST_LOG", "debug")
        self._log = open(self.folder / "edge.log", "wb")
        self.process = subprocess.Popen(words + [str(path)], stdin=subprocess.DEVNULL, stdout=self._log,
                                        stderr=subprocess.STDOUT, env=environment)
        try:
            self._wait_for_health()
            self._follow_events()
        except BaseException:
            self.stop()
            raise

    # --- the API ---------------------------------------------------------------------------------------------------

    def request(self, method, path, body=None):
        """(status, body): the body decoded when it is JSON, else its text."""
        connection = http.client.HTTPConnection(*self._api, timeout=5)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            if body is not None:
                headers["Content-Type"] = "application/json"
                body = json.dumps(body)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            return answer.status, json.loads(text) if "json" in (answer.getheader("Content-Type") or "") else text
        finally:
            connection.close()

    def calls(self):
        status, body = self.request("GET", "/v1/calls")
        if status != 200:
            raise AssertionError(f"GET /v1/calls answered {status}: {body}")
        return body["calls"]

    def gauges(self):
        """The gauges that must be zero when everybody has gone. One that is missing counts as a fault."""
        status, text = self.request("GET", "/metrics")
        if status != 200:
            raise AssertionError(f"GET /metrics answered {status}")
        values = {}
        for line in text.splitlines():
            name, _, value = line.partition(" ")
            name = name.partition("{")[0]
            if name in GAUGES:
                values[name] = values.get(name, 0.0) + float(value.split()[0])
        missing = [name for name in GAUGES if name not in values]
        if missing:
            raise AssertionError(f"/metrics lacks {', '.join(missing)}")
        return values

    def wait_until_empty(self, seconds):
        """Raises with what is left if the gauges are not all zero in time."""
        left = {}

        def empty():
            left.clear()
            left.update({name: value for name, value in self.gauges().items() if value})
            return not left

        if not wait_until(empty, seconds, every=0.2):
            rest = ", ".join(f"{name}={value:g}" for name, value in left.items())
            raise AssertionError(f"left behind after {seconds} s: {rest}; calls: {json.dumps(self.calls())[:600]}")

    # --- events ----------------------------------------------------------------------------------------------------

    def names(self, start=0):
        with self._changed:
            return [event["event"] for event in self.events[start:]]

    def data(self):
        """Every event so far, as the edge described it."""
        with self._changed:
            return [json.loads(event["data"]) for event in self.events]

    def mark(self):
        with self._changed:
            return len(self.events)

    def wait_for_events(self, wanted, seconds, start=0):
        """Waits until `wanted` has come as a subsequence, in this order; raises with what came instead."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                came = [event["event"] for event in self.events[start:]]
                missing = first_missing(wanted, came)
                if missing is None:
                    return
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"event {missing} did not come in its place of {wanted}\nevents were: {came}")
                self._changed.wait(min(left, 0.5))

    def _follow_events(self):
        connection = http.client.HTTPConnection(*self._api)
        connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise EdgeDied(f"GET /v1/events answered {answer.status}")
        threading.Thread(target=self._read_events, args=(connection, answer), daemon=True).start()

    def _read_events(self, connection, answer):
        fields = {}
        with open(self.folder / "events.log", "w", encoding="utf-8") as log:
            try:
                while line := answer.readline():
                    text = line.decode("utf-8", "replace").rstrip("\r\n")
                    if text.startswith(":"):
                        continue
                    if text:
                        name, _, value = text.partition(":")
                        fields[name] = value.removeprefix(" ")
                    elif "event" in fields:
                        log.write(f"{fields.get('id', '')} {fields['event']} {fields.get('data', '')}\n")
                        log.flush()
                        with self._changed:
                            self.events.append(fields)
                            self._changed.notify_all()
                        fields = {}
            except (OSError, ValueError, AttributeError, http.client.HTTPException):
                pass  # the edge was stopped under the stream
        connection.close()

    # --- life ------------------------------------------------------------------------------------------------------

    def alive(self):
        return self.process.poll() is None

    def _wait_for_health(self):
        def healthy():
            if not self.alive():
                raise EdgeDied(f"the edge ended with code {self.process.returncode} before it was healthy: {self.tail()}")
            try:
                status, body = self.request("GET", "/healthz")
            except OSError:
                return False
            return status == 200 and isinstance(body, dict) and body.get("status") == "ok"

        if not wait_until(healthy, 15):
            raise EdgeDied(f"the edge did not answer /healthz within 15 s: {self.tail()}")

    def tail(self):
        self._log.flush()
        text = (self.folder / "edge.log").read_text(encoding="utf-8", errors="replace")
        return text[-300:].strip() or "(it printed nothing)"

    def stop(self):
        """SIGTERM, then the exit code; an edge that does not go within ten seconds is killed."""
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()
        return self.process.returncode


def first_missing(wanted, came):
    """The first of `wanted` that is not found in `came` behind the ones before it; None when all are there."""
    position = 0
    for name in wanted:
        try:
            position = came.index(name, position) + 1
        except ValueError:
            return name
    return None


def free_port(host):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
