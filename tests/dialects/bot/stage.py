"""An edge, a bot with a script, a customer, an operator and a carrier."""

import io
import json
import math
import pathlib
import re
import struct
import threading
import time
import wave
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import phone as phones
from phone import Phone, wait_until
from rig.edge import Edge
from rig.net import Block

import bot as example

CUSTOMER, OPERATOR, CARRIER, BOT = 697, 1209, 1477, 2400  # Hz, none a multiple of another


def tone(hertz, seconds):
    """A WAV file."""
    octets = io.BytesIO()
    with wave.open(octets, "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
        samples = (int(8000 * math.sin(2 * math.pi * hertz * at / 8000)) for at in range(int(8000 * seconds)))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return octets.getvalue()


class Script:
    """A bot that answers as a test says, and remembers what it was told. A turn that is not in the script is silence."""

    def __init__(self):
        self.turns, self.lines, self.lock = [], {}, threading.Lock()

    def says(self, heard, *replies):
        """`heard`: a query, an event, or SUCCESS / FAIL for a transfer's event."""
        self.lines[heard] = list(replies)

    def turn(self, request):
        with self.lock:
            self.turns.append(request)
        return self.lines.get(self.heard(request), [])

    @staticmethod
    def heard(request):
        status = request["rawRequest"].get("transferStatus")
        return status["status"] if status else request.get("query") or request.get("event")

    def wait_for(self, heard, seconds=10):
        """The first turn that brought this."""
        def found():
            with self.lock:
                return next((turn for turn in self.turns if self.heard(turn) == heard), None)
        wait_until(found, seconds, lambda: f"the bot hears {heard}; it heard {[self.heard(turn) for turn in self.turns]}")
        return found()

    def status(self, wanted):
        """The status of the transfer, which the bot was told in an event of that name."""
        turn = self.wait_for(wanted)
        assert turn["event"] == "transfer" and "query" not in turn, turn
        return turn["rawRequest"]["transferStatus"]

    def count(self, heard):
        with self.lock:
            return sum(self.heard(turn) == heard for turn in self.turns)


class Door(example.Door):
    """The example's own door, with sounds behind it, and with the faults that a test wants."""

    def do_GET(self):
        body = tone(BOT, 6)
        self.send_response(200)
        self.send_header("Content-Type", "audio/wav")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        fault = self.server.fault
        if not fault:
            return super().do_POST()
        self.server.asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        try:
            fault(self)
        except OSError:
            pass  # the edge has had enough
        return None

    def log_message(self, *_):
        pass


class Stage:
    def __init__(self, folder, channel="", more="", recordings=False, door=True, silence=0):
        self.block = Block()
        self.host = self.block.host(1)
        self.folder = pathlib.Path(folder)
        self.script = Script()
        self.server = ThreadingHTTPServer((self.host, 0), Door)
        self.server.bot, self.server.fault, self.server.asked = self.script, None, 0
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://{self.host}:{self.server.server_address[1]}"
        if not door:
            self.server.shutdown(), self.server.server_close()
        at = (self.host, 5060)
        self.customer = Phone("+493012345", at, tone=CUSTOMER, host=self.block.host(2), domain="carrier.test")
        self.operator = Phone("1001", at, tone=OPERATOR, host=self.block.host(3))
        self.carrier = Phone("carrier", at, tone=CARRIER, host=self.block.host(4))
        (self.folder / "recordings").mkdir(parents=True)
        self.edge = Edge(self.host, f"""
[edge]
domain = "example.test"
[[listen]]
transport = "udp"
address = "{self.host}:5060"
[registrar]
open = true
[[peer]]
name = "from-outside"
match = ["{self.customer.address[0]}"]
auth = "none"
[[peer]]
name = "trunk"
match = ["{self.carrier.address[0]}"]
auth = "none"
[[route]]
match = "^never-dialled$"
to = "sip:{self.carrier.host}"
[[application]]
name = "robot"
match = "^5000$"
[[bot.channel]]
application = "robot"
url = "{self.url}/turn"
token = "token-of-the-bot"
digit_pause_ms = 300
silence_s = {silence}
{channel}
[webhook]
allow = ["127.0.0.0/8"]
[media]
{f'recordings = "{self.folder / "recordings"}"' if recordings else ''}
{more}
""", self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.edge.stop()
        for who in (self.customer, self.operator, self.carrier):
            who.close()
        self.server.shutdown()
        self.server.server_close()
        self.block.release()

    # --- what tests do -----------------------------------------------------------------------------------------------

    @property
    def beep(self):
        """A reply that is heard."""
        return {"type": "audio", "audioUrl": f"{self.url}/tone.wav"}

    def call(self):
        """The customer calls the bot, which answers."""
        call = self.customer.call("sip:5000@example.test")
        # A call may be over before anybody looks.
        wait_until(lambda: call.answered, 10, lambda: f"the bot answers; the call is {call.state} {call.status}")
        return call

    def switch(self, number="1001", **fields):
        """The bot sends the next caller on as soon as it calls; afterwards it makes itself heard."""
        self.script.says("/start", {"type": "switch", "phoneNumber": number, **fields})
        self.script.says("SUCCESS", self.beep)
        self.script.says("FAIL", self.beep)

    def press(self, call, keys):
        """Keys as RFC 4733 events."""
        for key in keys:
            event, began = "0123456789*#".index(key), call.at & 0xFFFFFFFF  # every packet of a key has the time of its first
            for end in (0, 0, 1, 1, 1):
                call.number += 1
                header = struct.pack("!BBHII", 0x80, 101, call.number & 0xFFFF, began, call.ssrc)
                call.rtp.sendto(header + struct.pack("!BBH", event, end << 7 | 10, 800), call.media)
                time.sleep(0.02)
            time.sleep(0.15)

    def hear_bot(self, call):
        call.hears(BOT)

    def events(self, name):
        return [event for event in self.edge.data() if event["event"] == name]

    def wait_for_event(self, name):
        wait_until(lambda: self.events(name), 10, lambda: f"{name} among {self.edge.names()}")
        return self.events(name)[-1]

    def record(self):
        """The one call record, once it is complete."""
        def found():
            body = self.edge.request("GET", "/v1/records")[1]
            return body["total"] == 1 and body["records"][0]["ended_at"] and body["records"][0]
        wait_until(found, 15, lambda: json.dumps(self.edge.request("GET", "/v1/records")[1])[:2000])
        return found()

    def nothing_is_left(self):
        for who in (self.customer, self.operator, self.carrier):
            for call in who.calls.values():
                call.hang_up()
        # Transactions live on for 64*T1, which no test waits for.
        def left():
            return {name: value for name, value in self.edge.gauges().items() if value and name != "warmline_transactions"}
        wait_until(lambda: not left(), 15, left)


# --- a phone that is sent a REFER -----------------------------------------------------------------------------------

def _asked(call, message, as_before=phones.Call._asked):
    call.requests = getattr(call, "requests", []) + [message]
    plan = getattr(call.phone, "on_refer", None)
    if message.method == "REFER" and plan:
        return plan(call, message)
    return as_before(call, message)


phones.Call._asked = _asked


def refuse_refer(call, message):
    call._respond(603, "Decline", request=message)


def follow_refer(*statuses):
    """202, then these statuses by NOTIFY."""
    def plan(call, message):
        call._respond(202, "Accepted", headers=[("Contact", call.phone.contact)], request=message)
        for status in statuses:
            state = "terminated;reason=noresource" if status >= 200 else "active;expires=60"
            text = call._request("NOTIFY", f"SIP/2.0 {status} Whatever\r\n", headers=[("Event", "refer"),
                                 ("Subscription-State", state), ("Contact", call.phone.contact)])
            call.phone.send(text.replace("application/sdp", "message/sipfrag;version=2.0"), again=True)
    return plan


def methods(call):
    return [message.method for message in getattr(call, "requests", [])]


def header(call, name):
    return call.invite.get(name)


def user(value):
    return re.search(r"sips?:([^@>;]+)@", value)[1]
