"""An edge with three extensions and a trunk, phones for all of them, and the vendor's clients."""

import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

from phone import Phone, wait_until
from rig.edge import Edge

HERE = pathlib.Path(__file__).resolve().parent
CLIENT = {"clientId": "test-app", "clientSecret": "the-secret-of-test-app"}
TRUNK = "127.0.0.2"
TONES = {"agent1": 697, "agent2": 941, "boss": 1209, "+15550100": 1477}
PATIENCE = 15


def free_udp(host="127.0.0.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind((host, 0))
        return found.getsockname()[1]


CONFIG = """
[edge]
domain = "example.test"
[[listen]]
transport = "udp"
address = "127.0.0.1:{udp}"
[media]
hold_music = "builtin"
recordings = "{folder}/recordings"
[transfer]
pick_up = true
[webhook]
allow = ["127.0.0.0/8"]
[[peer]]
name = "carrier"
match = ["{trunk}"]
auth = "none"
[[route]]
match = '^\\+'
to = "sip:{trunk}:{trunk_port}"
[[application]]
name = "conference"
match = "^conf_"
{users}
[ringcentral]
client_id = "{clientId}"
client_secret = "{clientSecret}"
account = "400100"
{extensions}{more}
"""
PEOPLE = {"agent1": ("101", "1001"), "agent2": ("102", "1002"), "boss": ("103", "1003")}


class Stage:
    more = ""

    def __init__(self, folder):
        self.folder, self.closing = folder, []
        self.udp, trunk_port = free_udp(), free_udp(TRUNK)
        (folder / "recordings").mkdir()
        users = "".join(f'[[user]]\nname = "{name}"\npassword = "sip-{name}"\n' for name in PEOPLE)
        extensions = "".join(
            f'[[ringcentral.extension]]\nuser = "{name}"\nnumber = "{number}"\nid = "{id}"\njwt = "{jwt(name)}"\n'
            f'password = "password-of-{name}"\nflip = ["102", "+15550177"]\nadmin = {str(name == "boss").lower()}\n'
            for name, (number, id) in PEOPLE.items())
        config = CONFIG.format(udp=self.udp, folder=folder, trunk=TRUNK, trunk_port=trunk_port, users=users,
                               extensions=extensions, more=self.more, **CLIENT)
        self.edge = Edge("127.0.0.1", config, folder / "edge")
        self.server = "http://%s:%d" % self.edge._api
        self.phones = {}
        self.trunk_port = trunk_port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for thing in reversed(self.closing):
            thing.close()
        for phone in self.phones.values():
            phone.close()
        self.edge.stop()

    def phone(self, name):
        """A registered extension, or the trunk's far end for a number."""
        if name not in self.phones:
            trunk = name.startswith("+")
            made = Phone(name, ("127.0.0.1", self.udp), f"sip-{name}", tone=TONES.get(name, 1633),
                         host=TRUNK if trunk else "127.0.0.1", port=self.trunk_port if trunk and not any(
                             other.startswith("+") for other in self.phones) else 0)
            self.phones[name] = made if trunk else made.register()
        return self.phones[name]

    def client(self, name, filters=("/restapi/v1.0/account/~/extension/~/telephony/sessions",), control=True):
        """The JavaScript clients, logged in as this extension, told of what the filters say."""
        client = Client(self.server)
        self.closing.append(client)
        client.ask("login", server=self.server, **CLIENT, jwt=jwt(name))
        if control:
            client.account = client.ask("control")
        if filters:
            client.subscription = client.ask("subscribe", filters=list(filters))
        return client

    def boss(self, filters=("/restapi/v1.0/account/~/telephony/sessions",)):
        return self.client("boss", filters)

    def hook(self, **behaviour):
        hook = Hook(**behaviour)
        self.closing.append(hook)
        return hook

    def must_be_clean(self):
        """Nothing is left in the edge, and no secret is in its log."""
        for phone in self.phones.values():
            for call in phone.calls.values():
                call.hang_up()
        left = {}

        def empty():
            left.clear()  # transactions outlive their calls by 64*T1
            left.update({name: value for name, value in self.edge.gauges().items() if value and "transactions" not in name})
            return not left
        wait_until(empty, 15, lambda: f"left behind: {left} {self.edge.calls()}")
        log = (self.folder / "edge/edge.log").read_text(encoding="utf-8", errors="replace")
        tokens = {word for client in self.closing if isinstance(client, Client) for word in client.secrets}
        for secret in {CLIENT["clientSecret"], *(jwt(name) for name in PEOPLE), *(f"password-of-{name}" for name in PEOPLE), *tokens}:
            assert secret not in log, "a secret is in the edge's log"
        assert "panicked" not in log, log[log.index("panicked") - 200:][:2000]


def jwt(name):
    return f"a-long-assertion-of-{name}"


class Refused(Exception):
    """An answer that is an error, with its status and body."""

    def __init__(self, error):
        super().__init__(json.dumps(error))
        self.status, self.body = error.get("status"), error.get("body") or {}

    @property
    def code(self):
        return self.body.get("errorCode")


class Client:
    """tests/dialects/ringcentral/client.mjs as a process."""

    def __init__(self, server):
        self.server, self.lines, self.answers, self.secrets = server, [], {}, set()
        self.changed, self.next = threading.Condition(), 1
        self.process = subprocess.Popen(["node", str(HERE / "client.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=None if os.environ.get("V") else subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            told = json.loads(line)
            with self.changed:
                if "id" in told:
                    self.answers[told["id"]] = told
                else:
                    self.lines.append(told)
                self.changed.notify_all()

    def ask(self, op, **given):
        with self.changed:
            number, self.next = self.next, self.next + 1
        self.process.stdin.write(json.dumps({"id": number, "op": op, **given}) + "\n")
        self.process.stdin.flush()
        with self.changed:
            if not self.changed.wait_for(lambda: number in self.answers, 60):
                raise AssertionError(f"{op}: no answer from the JavaScript client")
            told = self.answers.pop(number)
        if "error" in told:
            raise Refused(told["error"]) if told["error"].get("status") else AssertionError(f"{op}: {told['error']['message']}")
        if op in ("login", "refresh"):
            self.secrets.update({told["result"]["access_token"], told["result"]["refresh_token"]})
        return told["result"]

    def send(self, method, path, body=None):
        """(status, body) of a request by the SDK's platform; errors rise."""
        answer = self.ask("send", method=method, url=f"/restapi/v1.0/account/~/telephony{path}", body=body)
        return answer["status"], answer["body"]

    def refused(self, method, path, body=None):
        """(status, error code) of a request that must not succeed; both shapes of the error must agree."""
        try:
            done = self.send(method, path, body)
        except Refused as refused:
            errors = refused.body.get("errors") or [{}]
            assert refused.code and refused.code == errors[0].get("errorCode"), refused.body
            return refused.status, refused.code
        raise AssertionError(f"{method} {path} was not refused: {done}")

    def session(self, session, method, *args):
        return self.ask("session", session=session, method=method, args=list(args))

    @property
    def notices(self):
        with self.changed:
            return [line["notification"] for line in self.lines if "notification" in line]

    def bodies(self):
        return [notice["body"] for notice in self.notices]

    def told(self, session=None):
        """What came, shortly: `p-1 Setup`, `p-2 Disconnected/BlindTransfer`."""
        return [short(body) for body in self.bodies() if session in (None, body["telephonySessionId"])]

    def wait_told(self, wanted, session=None, seconds=PATIENCE):
        """Exactly these, in this order, and no more of this session a moment later."""
        def there():
            return len(self.told(session)) >= len(wanted)
        try:
            wait_until(there, seconds, lambda: f"{wanted}\n  came: {self.told(session)}")
        finally:
            came = self.told(session)
            assert came[:len(wanted)] == wanted, f"\nwanted {wanted}\n  came {came}"
        time.sleep(0.3)
        came = self.told(session)
        assert came == wanted, f"\nwanted {wanted}\n  came {came}"

    def sessions(self):
        """Ids of the sessions that were told of, in order."""
        return list(dict.fromkeys(body["telephonySessionId"] for body in self.bodies()))

    def wait_sessions(self, number, seconds=PATIENCE):
        wait_until(lambda: len(self.sessions()) >= number, seconds, lambda: f"{number} sessions, came {self.told()}")
        return self.sessions()

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


def short(body):
    party = body["parties"][0]
    assert len(body["parties"]) == 1 and party["id"].startswith("p-" + body["telephonySessionId"][2:])
    status = party["status"]
    reason = f"/{status['reason']}" if "reason" in status else ""
    return f"p-{party['id'].rsplit('-', 1)[1]} {status['code']}{reason}"


def check_shapes(bodies):
    """What must hold for whatever was told: sequences, ids, times, paths."""
    sequences = {}
    for body in bodies:
        party = body["parties"][0]
        session = body["telephonySessionId"]
        assert re.fullmatch(r"s-[0-9a-fz]+", session), session
        assert re.fullmatch(r"p-[0-9a-fz]+-\d", party["id"]), party["id"]
        assert body["sessionId"].isdigit() and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["eventTime"])
        expected = sequences.get(session, 1) + 1
        assert body["sequence"] == expected, f"sequence {body['sequence']}, not {expected}, in {session}"
        sequences[session] = body["sequence"]


class Hook:
    """A webhook's far end. `echo`: gives the validation token back."""

    def __init__(self, echo=True, status=200, delay=0.0):
        outer = self
        self.requests, self.echo, self.status, self.delay = [], echo, status, delay

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                time.sleep(outer.delay)
                self.send_response(outer.status)
                if outer.echo and self.headers.get("Validation-Token"):
                    self.send_header("Validation-Token", self.headers["Validation-Token"])
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def notices(self):
        return [json.loads(body) for headers, body in self.requests if body]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
