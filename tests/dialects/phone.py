"""A small SIP phone with a voice: a tone of its own, and an ear that says which tones it hears.

For tests of the dialects: it registers, calls, rings, answers, refuses, is held and transferred by re-INVITE, and hangs
up. UDP, PCMU, nothing but the standard library. One thread reads messages, one plays and listens for all of its calls.

    with Phone("agent1", edge=("127.0.0.1", 5060), password="secret", tone=440) as agent:
        agent.register()
        call = agent.incoming()
        call.answer()
        call.hears(697)         # waits until the tone of the other side is there
        call.hang_up()
"""

import hashlib
import math
import queue
import random
import re
import socket
import struct
import threading
import time

FRAME = 160          # samples in 20 ms at 8000 Hz
LOUD = 0.15          # of what is heard, the part that must be the tone
PATIENCE = 10.0      # seconds: how long anything may take


def _encode(sample):
    """ITU-T G.711 mu-law of a 16-bit sample."""
    sign, sample = (0x80, -sample) if sample < 0 else (0, sample)
    sample = min(sample, 32635) + 132
    exponent = sample.bit_length() - 8
    return ~(sign | exponent << 4 | sample >> exponent + 3 & 0x0F) & 0xFF


def _decode(octet):
    octet = ~octet & 0xFF
    sample = (((octet & 0x0F) << 3) + 132 << (octet >> 4 & 7)) - 132
    return -sample if octet & 0x80 else sample


DECODED = [_decode(octet) for octet in range(256)]


def _power(samples, frequency):
    """Goertzel: the part of the energy of `samples` that lies at `frequency`, 0 to 1."""
    total = sum(sample * sample for sample in samples)
    if total < len(samples) * 400:
        return 0.0  # silence
    twice = 2 * math.cos(2 * math.pi * frequency / 8000)
    one = two = 0.0
    for sample in samples:
        one, two = sample + twice * one - two, one
    return 2 * (one * one + two * two - twice * one * two) / (len(samples) * total)


def wait_until(true, seconds, what):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what() if callable(what) else what}")
        time.sleep(0.02)


class Message:
    def __init__(self, octets):
        head, _, self.body = octets.decode("utf-8", "replace").partition("\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        self.start = lines[0]
        self.headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]

    short = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length", "c": "content-type"}

    def all(self, name):
        return [value for own, value in self.headers if self.short.get(own.lower(), own.lower()) == name.lower()]

    def get(self, name, default=""):
        return next(iter(self.all(name)), default)

    @property
    def status(self):
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else None

    @property
    def method(self):
        return self.get("cseq").split()[-1] if self.status else self.start.split()[0]

    def tag(self, name):
        found = re.search(r">?[^>]*;tag=([^;\s]+)", self.get(name))
        return found and found[1]


def _uri(value):
    found = re.search(r"<([^>]+)>", value)
    return found[1] if found else value.partition(";")[0].strip()


def _older(one, other):
    return int(one.get("cseq").split()[0]) < int(other.get("cseq").split()[0])


def _token(length=10):
    return "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


class Call:
    """One dialog. `state`: calling, ringing (ours or theirs), confirmed, ended; `status`: the final answer to our INVITE."""

    def __init__(self, phone, call_id):
        self.phone, self.call_id = phone, call_id
        self.state, self.status, self.invite, self.answered = "calling", None, None, None
        self.local_tag, self.remote_tag = _token(), None
        self.cseq, self.routes, self.target = random.randint(1, 1000), [], None
        self.local = self.remote = None          # From and To without tags, ours and theirs
        self.direction = "sendrecv"              # what the other side lets us do, seen from us
        self.offers, self.ended_by = 0, None
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind((phone.address[0], 0))
        self.rtp.setblocking(False)
        self.media = None
        self.ssrc, self.number, self.at, self.step = random.getrandbits(32), random.getrandbits(15), random.getrandbits(30), 0
        self.heard, self.lock = [], threading.Lock()
        self.version = 1
        self.last_response = None
        self.first = self.accepted = None        # the INVITE that began it; the 200 to ours
        self.branches = {}                       # of our INVITEs, by number: the ACK of a refusal has the same
        self.answers, self.last_answer = {}, None  # statuses of our other requests by CSeq; the last answer to one
        self.referred = None                     # the REFER that asks us to call somebody
        self.keys, self.key_at = [], None        # keys that were heard (RFC 4733), and the time stamp of the last

    # --- what a test asks --------------------------------------------------------------------------------------------

    def wait(self, state, seconds=PATIENCE):
        wait_until(lambda: self.state == state, seconds, lambda: f"{self.phone.name}: {state}, but it is {self.state} {self.status}")
        return self

    def share(self, frequency, seconds=0.3):
        """The part of what is heard from now on that is this tone, 0 to 1."""
        with self.lock:
            self.heard = []
        wanted = int(seconds * 8000)
        end = time.monotonic() + seconds * 3
        while time.monotonic() < end:
            with self.lock:
                if len(self.heard) >= wanted:
                    break
            time.sleep(0.02)
        with self.lock:
            samples = self.heard[:wanted]
        return _power(samples, frequency) if len(samples) > wanted // 2 else 0.0

    def hears(self, frequency, seconds=PATIENCE):
        wait_until(lambda: self.share(frequency) > LOUD, seconds, f"{self.phone.name} should hear {frequency} Hz")
        return self

    def hears_not(self, frequency, seconds=PATIENCE):
        wait_until(lambda: self.share(frequency) < 0.02, seconds, f"{self.phone.name} should not hear {frequency} Hz")
        return self

    # --- what a test orders ------------------------------------------------------------------------------------------

    def ring(self, status=180, headers=()):
        self._respond(status, "Ringing", headers=headers)
        self.state = "ringing"
        return self

    def answer(self):
        if self.invite.body:
            self._take(self.invite.body)
        self.answered = "us"
        self._respond(200, "OK", self._description(), [("Contact", self.phone.contact)])
        return self

    def reject(self, status=486, reason="Busy Here"):
        self._respond(status, reason)
        self.state = "ended"
        return self

    def hang_up(self):
        if self.state == "ended":
            return self
        if self.state in ("calling", "ringing") and self.answered is None:
            if self.invite_cseq:  # our own INVITE
                self.phone.send(self._request("CANCEL", cseq=self.invite_cseq, branch=self.branch, early=True))
                return self
            return self.reject(480, "Temporarily Unavailable")
        self.state, self.ended_by = "ended", "us"
        self.phone.send(self._request("BYE"), again=True)
        return self

    def hold(self, direction="sendonly"):
        """We hold the other side, as a phone's own hold key does."""
        self.wanted = direction
        self._invite_again(direction)
        return self

    def unhold(self):
        self._invite_again("sendrecv")
        return self

    def notify(self, sipfrag, state):
        """What came of the REFER that we accepted (RFC 3515 §2.4.5)."""
        self.phone.send(self._request("NOTIFY", sipfrag, [("Event", "refer"), ("Subscription-State", state)], kind="message/sipfrag;version=2.0"), again=True)
        return self

    def challenge(self, realm, nonce):
        """Asks for the digest of a password, MD5 as trunks still do."""
        value = f'Digest realm="{realm}", nonce="{nonce}", algorithm=MD5, qop="auth"'
        self._respond(401, "Unauthorized", headers=[("WWW-Authenticate", value)])
        return self

    def authorised(self, user, password, realm, nonce):
        """Whether the INVITE has the right answer to that question."""
        own = {key.lower(): quoted or plain for key, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', self.invite.get("authorization"))}
        if (own.get("username"), own.get("realm"), own.get("nonce")) != (user, realm, nonce):
            return False
        hexed = lambda text: hashlib.md5(text.encode()).hexdigest()
        what = hexed(f"INVITE:{own['uri']}")
        return own["response"] == hexed(f"{hexed(f'{user}:{realm}:{password}')}:{nonce}:{own['nc']}:{own['cnonce']}:auth:{what}")

    def refer(self, target, replaces=None):
        """REFER in this dialog: blind, or attended with another call of this phone."""
        to = f"<{target}>"
        if replaces:
            value = f"{replaces.call_id};to-tag={replaces.remote_tag};from-tag={replaces.local_tag}"
            to = f"<{target}?Replaces={value.replace(';', '%3B').replace('=', '%3D').replace('@', '%40')}>"
        self.phone.send(self._request("REFER", headers=[("Refer-To", to), ("Referred-By", self.local)]), again=True)
        return self

    # --- the dialog --------------------------------------------------------------------------------------------------

    invite_cseq = None
    branch = None
    wanted = "sendrecv"

    def _description(self, direction=None):
        direction = direction or self.direction
        host, port = self.rtp.getsockname()
        self.version += 1
        return (f"v=0\r\no=- {self.ssrc} {self.version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
                f"m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
                f"a=fmtp:101 0-15\r\na=ptime:20\r\na={direction}\r\n")

    def _take(self, body):
        """Takes a description of the other side; our own direction becomes its mirror."""
        host = re.search(r"^c=IN IP4 (\S+)", body, re.M)
        port = re.search(r"^m=audio (\d+)", body, re.M)
        if not port:
            return
        direction = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", body, re.M)
        mirror = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive", "sendrecv": "sendrecv"}
        self.direction = mirror[direction[1] if direction else "sendrecv"]
        self.media = (host[1], int(port[1])) if host and host[1] != "0.0.0.0" and port[1] != "0" else None
        self.offers += 1

    def _request(self, method, body="", headers=(), cseq=None, branch=None, early=False, kind="application/sdp"):
        if cseq is None:
            self.cseq += 1
        cseq = cseq or self.cseq
        via = f"SIP/2.0/UDP {self.phone.host};rport;branch={branch or 'z9hG4bK' + _token()}"
        to = self.remote + (f";tag={self.remote_tag}" if self.remote_tag and not early else "")
        lines = [f"{method} {self.uri if early else self.target} SIP/2.0", f"Via: {via}", "Max-Forwards: 70",
                 f"From: {self.local};tag={self.local_tag}", f"To: {to}", f"Call-ID: {self.call_id}", f"CSeq: {cseq} {method}"]
        if not early:
            lines += [f"Route: {route}" for route in self.routes]
        if method in ("INVITE", "REFER", "UPDATE", "NOTIFY"):
            lines.append(f"Contact: {self.phone.contact}")
        lines += [f"{name}: {value}" for name, value in headers]
        if body:
            lines.append(f"Content-Type: {kind}")
        return "\r\n".join(lines + [f"Content-Length: {len(body)}", "", body])

    def _start(self, uri, headers, credentials=None):
        self.uri = uri
        self.cseq += 1
        self.invite_cseq, self.branch = self.cseq, "z9hG4bK" + _token()
        self.branches[self.cseq] = self.branch
        more = list(headers) + [("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER"), ("Supported", "replaces")]
        if credentials:
            more.append(credentials)
        self.asked = headers
        self.phone.send(self._request("INVITE", self._description(), more, cseq=self.cseq, branch=self.branch, early=True), again=True)

    def _invite_again(self, direction):
        self.version += 1
        branch = "z9hG4bK" + _token()
        self.branches[self.cseq + 1] = branch
        self.phone.send(self._request("INVITE", self._description(direction), branch=branch), again=True)

    def _respond(self, status, reason, body="", headers=(), request=None):
        request = request or self.invite
        text = self.phone.response(request, status, reason, self.local_tag if status > 100 else None, body, headers)
        if request.method == "INVITE":
            self.last_response = text
        if status == 200 and request.method == "INVITE":
            self._repeat_until_ack(text)  # before it goes: its ACK may be here at once
        self.phone.send(text)

    def _repeat_until_ack(self, text):
        self.acked = threading.Event()

        def again():
            for wait in (0.5, 1, 2, 4, 4):
                if self.acked.wait(wait):
                    return
                self.phone.send(text)
        threading.Thread(target=again, daemon=True).start()

    def _response(self, message):
        method, status = message.method, message.status
        if method == "INVITE":
            number = int(message.get("cseq").split()[0])
            if status >= 200:
                self.phone.settled(self.call_id, number)
            if 100 < status < 200:
                if self.state == "calling":
                    self.state = "ringing"
                if message.body:
                    self._take(message.body)
            elif 200 <= status < 300:
                self.remote_tag, self.target = message.tag("to"), _uri(message.get("contact"))
                self.routes = list(reversed(message.all("record-route")))
                if message.body:
                    self._take(message.body)
                self.answered, self.accepted = self.answered or "them", self.accepted or message
                self.phone.send(self._request("ACK", cseq=number))
                if self.state != "ended":
                    self.state = "confirmed"
            elif status >= 300:
                ack = self._request("ACK", cseq=number, branch=self.branches.get(number), early=self.answered is None)
                self.phone.send(re.sub(r"\r\nTo: [^\r]*", lambda _: f"\r\nTo: {message.get('to')}", ack, count=1))
                if self.answered is None and status in (401, 407) and number == self.invite_cseq and not getattr(self, "challenged", False):
                    self.challenged = True
                    self._start(self.uri, self.asked, self.phone.credentials(message, "INVITE", self.uri))
                elif self.answered is None and number == self.invite_cseq:
                    self.status, self.state = status, "ended"
        elif status >= 200:
            self.answers[message.get("cseq")], self.last_answer = status, message
            self.phone.settled(self.call_id, int(message.get("cseq").split()[0]))

    def _asked(self, message):
        method = message.method
        if method == "INVITE" and self.invite is not None and message.get("cseq") == self.invite.get("cseq") and self.last_response:
            self.phone.send(self.last_response)  # a repetition
        elif method == "INVITE" and self.invite is not None and _older(message, self.invite):
            pass                                 # it was overtaken
        elif method == "INVITE" and self.answered is None:   # again, with the answer to our challenge
            self.invite = message
            self.phone.new.put(self)
        elif method == "INVITE":                 # a re-INVITE
            self.invite = message
            if message.body:
                self._take(message.body)
                self._respond(200, "OK", self._description(), [("Contact", self.phone.contact)])
            else:
                self._respond(200, "OK", self._description("sendrecv"), [("Contact", self.phone.contact)])
        elif method == "ACK":
            # One of an INVITE before this one, repeated, says nothing new.
            latest = self.invite is None or message.get("cseq").split()[0] == self.invite.get("cseq").split()[0]
            if latest and getattr(self, "acked", None):
                self.acked.set()
            if latest and message.body:
                self._take(message.body)
            if self.answered and self.state != "ended":
                self.state = "confirmed"
        elif method == "BYE":
            self._respond(200, "OK", request=message)
            self.state, self.ended_by = "ended", "them"
        elif method == "CANCEL":
            self._respond(200, "OK", request=message)
            if self.answered is None:
                self._respond(487, "Request Terminated")
                self.state, self.ended_by = "ended", "them"
        elif method == "REFER":
            self.referred = message
            self._respond(202, "Accepted", headers=[("Contact", self.phone.contact)], request=message)
        else:
            if method == "NOTIFY":
                self.notified = getattr(self, "notified", []) + [message.body.strip()]
            self._respond(200, "OK", request=message)

    # --- the voice ---------------------------------------------------------------------------------------------------

    def _tick(self, tone):
        while True:
            try:
                octets = self.rtp.recv(2048)
            except OSError:
                break
            if len(octets) >= 16 and octets[1] & 0x7F == 101 and octets[4:8] != self.key_at:
                self.key_at = octets[4:8]
                self.keys.append("0123456789*#ABCD"[octets[12] & 0x0F])
            if len(octets) > 12 and octets[1] & 0x7F == 0:
                with self.lock:
                    self.heard.extend(DECODED[octet] for octet in octets[12:])
                    del self.heard[:-16000]
        if self.media and self.direction in ("sendrecv", "sendonly") and self.state in ("ringing", "confirmed") and self.answered:
            payload = tone[self.step % len(tone)]
            header = struct.pack("!BBHII", 0x80, 0, self.number & 0xFFFF, self.at & 0xFFFFFFFF, self.ssrc)
            try:
                self.rtp.sendto(header + payload, self.media)
            except OSError:
                pass  # nobody is there any more
            self.number, self.at, self.step = self.number + 1, self.at + FRAME, self.step + 1


class Phone:
    """A user agent on a port of its own. `number` is what stands in From when it does not register (a trunk)."""

    # For how many seconds a request is repeated at least; RFC 3261 §17.1.2.2 says 32.
    stubborn = 0

    def __init__(self, name, edge, password="", domain="example.test", tone=440, host="127.0.0.1", port=0, display=None):
        self.name, self.edge, self.password, self.domain, self.display = name, edge, password, domain, display
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.socket.settimeout(0.2)
        self.address = self.socket.getsockname()
        self.host = f"{self.address[0]}:{self.address[1]}"
        self.contact = f"<sip:{name}@{self.host}>"
        self.login = None        # the digest's user name, where it is not the phone's own
        self.calls, self.new = {}, queue.Queue()
        self.pending, self.lock = {}, threading.Lock()
        self.registered, self.counts, self.closed = None, {}, False
        self.tone = [bytes(_encode(int(9000 * math.sin(2 * math.pi * tone * (frame * FRAME + at) / 8000))) for at in range(FRAME))
                     for frame in range(50)]
        self.register_id, self.register_cseq, self.register_tag = _token(16), 0, _token()
        for work in (self._read, self._play, self._repeat):
            threading.Thread(target=work, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.closed = True
        time.sleep(0.05)
        self.socket.close()
        for call in self.calls.values():
            call.rtp.close()

    # --- orders ------------------------------------------------------------------------------------------------------

    def register(self, expires=600):
        self.registered = None
        self._register(expires)
        wait_until(lambda: self.registered is not None, PATIENCE, f"{self.name} registers")
        assert self.registered == 200, f"{self.name}: registration refused with {self.registered}"
        return self

    def call(self, uri, headers=()):
        if not uri.startswith(("sip:", "sips:", "tel:")):
            uri = f"sip:{uri}@{self.domain}"
        call = Call(self, _token(20))
        name = f'"{self.display}" ' if self.display else ""
        call.local, call.remote = f"{name}<sip:{self.name}@{self.domain}>", f"<{uri}>"
        self.calls[call.call_id] = call
        call._start(uri, headers)
        return call

    def incoming(self, seconds=PATIENCE, ring=True):
        """The next call that comes here."""
        try:
            call = self.new.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"nobody called {self.name} within {seconds} s") from None
        return call.ring() if ring else call

    # --- messages ----------------------------------------------------------------------------------------------------

    def send(self, text, again=False):
        if again:
            message = Message(text.encode())
            key = (message.get("call-id"), int(message.get("cseq").split()[0]))
            with self.lock:
                self.pending[key] = [time.monotonic() + 0.5, 0.5, text, time.monotonic() + self.stubborn]
        self._transmit(text)

    def _transmit(self, text):
        try:
            self.socket.sendto(text.encode(), self.edge)
        except OSError:
            pass  # closed meanwhile

    def settled(self, call_id, cseq):
        with self.lock:
            self.pending.pop((call_id, cseq), None)

    def response(self, request, status, reason, tag=None, body="", headers=()):
        to = request.get("to")
        if tag and ";tag=" not in to:
            to += f";tag={tag}"
        lines = [f"SIP/2.0 {status} {reason}"]
        lines += [f"Via: {value}" for value in request.all("via")]
        lines += [f"Record-Route: {value}" for value in request.all("record-route")]
        lines += [f"From: {request.get('from')}", f"To: {to}", f"Call-ID: {request.get('call-id')}", f"CSeq: {request.get('cseq')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body:
            lines.append("Content-Type: application/sdp")
        return "\r\n".join(lines + [f"Content-Length: {len(body)}", "", body])

    def _register(self, expires, credentials=None):
        self.register_cseq += 1
        uri = f"sip:{self.domain}"
        lines = [f"REGISTER {uri} SIP/2.0", f"Via: SIP/2.0/UDP {self.host};rport;branch=z9hG4bK{_token()}", "Max-Forwards: 70",
                 f"From: <sip:{self.name}@{self.domain}>;tag={self.register_tag}", f"To: <sip:{self.name}@{self.domain}>",
                 f"Call-ID: {self.register_id}", f"CSeq: {self.register_cseq} REGISTER", f"Contact: {self.contact}", f"Expires: {expires}"]
        if credentials:
            lines.append(f"{credentials[0]}: {credentials[1]}")
        self.expires, self.answering = expires, credentials is not None
        self.send("\r\n".join(lines + ["Content-Length: 0", "", ""]), again=True)

    def credentials(self, message, method, uri):
        """RFC 7616 with qop=auth; the first challenge is the favourite."""
        name = "WWW-Authenticate" if message.status == 401 else "Proxy-Authenticate"
        challenge = message.get(name)
        found = {key.lower(): quoted or plain for key, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', challenge)}
        algorithm = found.get("algorithm", "MD5")
        digest = hashlib.sha256 if algorithm.upper() == "SHA-256" else hashlib.md5
        hexed = lambda text: digest(text.encode()).hexdigest()
        cnonce, count = _token(), "00000001"
        user = self.login or self.name
        key = hexed(f"{user}:{found['realm']}:{self.password}")
        answer = hexed(f"{key}:{found['nonce']}:{count}:{cnonce}:auth:{hexed(f'{method}:{uri}')}")
        value = (f'Digest username="{user}", realm="{found["realm"]}", nonce="{found["nonce"]}", uri="{uri}", '
                 f'response="{answer}", algorithm={algorithm}, qop=auth, nc={count}, cnonce="{cnonce}"')
        if "opaque" in found:
            value += f', opaque="{found["opaque"]}"'
        return ("Authorization" if message.status == 401 else "Proxy-Authorization", value)

    def _read(self):
        while not self.closed:
            try:
                octets, _ = self.socket.recvfrom(65535)
            except TimeoutError:
                continue
            except OSError:
                return
            if octets.strip():
                self._handle(Message(octets))

    def _handle(self, message):
        call = self.calls.get(message.get("call-id"))
        if message.status and message.method == "REGISTER":
            if message.status >= 200:
                self.settled(self.register_id, int(message.get("cseq").split()[0]))
            if int(message.get("cseq").split()[0]) != self.register_cseq:
                pass  # a repetition of an answer to the one before
            elif message.status == 401 and not self.answering:
                self._register(self.expires, self.credentials(message, "REGISTER", f"sip:{self.domain}"))
            elif message.status >= 200:
                self.registered = message.status
        elif message.status:
            if call:
                call._response(message)
        elif call:
            call._asked(message)
        elif message.method == "INVITE":
            call = Call(self, message.get("call-id"))
            call.invite, call.first, call.remote_tag = message, message, message.tag("from")
            call.target, call.routes = _uri(message.get("contact")), message.all("record-route")
            call.remote, call.local = re.sub(r";tag=[^;\s]+", "", message.get("from")), message.get("to")
            call.state = "ringing"
            self.calls[call.call_id] = call
            call._respond(100, "Trying")
            self.new.put(call)
        elif message.method == "OPTIONS":
            self.send(self.response(message, 200, "OK", _token()))
        elif message.method != "ACK":
            self.send(self.response(message, 481, "Call/Transaction Does Not Exist", _token()))

    def _repeat(self):
        while not self.closed:
            time.sleep(0.1)
            now = time.monotonic()
            with self.lock:
                due = [entry for entry in self.pending.values() if entry[0] <= now]
                for entry in due:
                    entry[1] = min(entry[1] * 2, 4)
                    entry[0] = now + entry[1]
                self.pending = {key: entry for key, entry in self.pending.items() if entry[1] < 4 or now < entry[3]}
            for entry in due:
                self._transmit(entry[2])

    def _play(self):
        due = time.monotonic()
        while not self.closed:
            for call in list(self.calls.values()):
                if call.state != "ended":
                    call._tick(self.tone)
            due += 0.02
            time.sleep(max(0.0, due - time.monotonic()))
