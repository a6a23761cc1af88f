"""What an application written for that API does with an edge: the SDK orders, the phones talk, their ears judge."""

import math
import struct
import time
import wave

from twilio.base.exceptions import TwilioRestException

from phone import Phone, wait_until
from rig.edge import Edge
from sdk import client
from tutorial import Application

ACCOUNT, TOKEN = "AC" + "1" * 32, "0123456789abcdef0123456789abcdef"
KEY, SECRET = "SK" + "2" * 32, "fedcba9876543210"
NUMBER = "+15550001"
CUSTOMER, AGENT1, AGENT2, BOSS, MUSIC, WAIT = 440, 697, 852, 1209, 330, 1477

CONFIG = """
[edge]
domain = "example.test"
[[listen]]
transport = "udp"
address = "{host}:5060"
[registrar]
open = true
[media]
mode = "auto"
ports = [34000, 34999]
hold_music = "{folder}/hold.wav"
recordings = "{folder}/recordings"
[webhook]
allow = ["127.0.0.0/8"]
[[application]]
name = "sales"
match = '^\\+15550'
[twilio]
account_sid = "{account}"
auth_token = "{token}"
[[twilio.key]]
sid = "{key}"
secret = "{secret}"
[[twilio.number]]
application = "sales"
phone_number = "{number}"
voice_url = "{app}/conference/connect/client"
status_callback = "{app}/status"
[[twilio.number]]
application = "sales"
phone_number = "+15550002"
voice_url = "{app}/voice"
fallback_url = "{app}/fallback"
status_callback = "{app}/status"
"""


def tone_file(path, hertz, seconds=1):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        samples = (int(8000 * math.sin(2 * math.pi * hertz * at / 8000)) for at in range(8000 * seconds))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


class Stage:
    """An edge, an application, and phones that are closed in the end."""

    def __init__(self, host, folder):
        self.host, self.folder, self.phones = host, folder, []
        folder.mkdir(parents=True)
        (folder / "recordings").mkdir()
        tone_file(folder / "hold.wav", MUSIC)
        self.app = Application(host, None, TOKEN, NUMBER)
        tone_file(folder / "wait.wav", WAIT, 2)
        self.app.documents["/music.wav"] = ("audio/wav", (folder / "wait.wav").read_bytes())
        self.app.documents["/status"] = lambda _: ""
        config = CONFIG.format(host=host, folder=folder, account=ACCOUNT, token=TOKEN, key=KEY, secret=SECRET, number=NUMBER, app=self.app.base)
        self.edge = Edge(host, config, folder)
        self.sdk = self.app.sdk = client(self.edge._api, ACCOUNT, TOKEN)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for phone in self.phones:
            phone.close()
        self.edge.stop()
        self.app.close()

    def phone(self, name, tone, register=True):
        phone = Phone(name, edge=(self.host, 5060), tone=tone, host=self.host)
        self.phones.append(phone)
        return phone.register() if register else phone

    def serve(self, path, document):
        self.app.documents[path] = document

    def seen(self, path):
        return [form for own, form, _ in self.app.seen if own == path]

    def told(self, path, **wanted):
        """Waits until the application was told of that."""
        found = []

        def there():
            found[:] = [form for form in self.seen(path) if all(form.get(key) == value for key, value in wanted.items())]
            return found
        wait_until(there, 10, lambda: f"{path} with {wanted}; it was told {self.seen(path)}")
        return found[0]


def refused(code, status, order):
    try:
        order()
    except TwilioRestException as error:
        assert (error.code, error.status) == (code, status), f"{error.code} {error.status}: {error.msg}"
        return error
    raise AssertionError(f"it should have been refused with {code}")


def the_tutorial_warm_transfer(stage):
    agent1, agent2 = stage.phone("agent1", AGENT1), stage.phone("agent2", AGENT2)
    customer = stage.phone("+15550100", CUSTOMER, register=False).call(NUMBER)
    first = agent1.incoming()
    customer.wait("confirmed")
    first.answer().wait("confirmed")
    customer.hears(AGENT1)
    first.hears(CUSTOMER)
    # The agent consults a second one, who comes into the same conference.
    import urllib.request
    urllib.request.urlopen(urllib.request.Request(f"{stage.app.base}/conference/agent1/call", method="POST", data=b""))
    second = agent2.incoming()
    second.answer().wait("confirmed")
    for call, others in ((customer, (AGENT1, AGENT2)), (first, (CUSTOMER, AGENT2)), (second, (CUSTOMER, AGENT1))):
        for tone in others:
            call.hears(tone)
    # Agent1 leaves: the others talk on. Agent2 leaves: everybody is dropped.
    first.hang_up()
    customer.hears(AGENT2).hears_not(AGENT1)
    second.hears(CUSTOMER)
    second.hang_up()
    customer.wait("ended")
    told = stage.told("/status", CallStatus="completed")
    assert told["CallSid"] == stage.seen("/conference/connect/client")[0]["CallSid"]
    assert all(signed for _, _, signed in stage.app.seen if _ != "/conference/agent1/call" and not _.endswith("/call")), stage.app.seen
    stage.edge.wait_until_empty(10)


ALL = [the_tutorial_warm_transfer]
