"""baresip driven over its ctrl_tcp module: JSON in netstrings, answers and events on the same connection."""

import json
import math
import os
import pathlib
import queue
import re
import socket
import struct
import subprocess
import threading
import time
import wave

from rig.net import wait_until

MODULE_PLACES = ("/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules", "/usr/local/lib/baresip/modules")
AUDIO = ("g711.so", "aufile.so", "sndfile.so")
PROTECTION = ("srtp.so", "dtls_srtp.so", "ice.so")
APPLICATIONS = ("menu.so", "ctrl_tcp.so")
TEMPORARY = ("account.so", "uuid.so")
# Tones of no phone, in Hz: the edge's hold music, the PBX's line 601.
MACHINES = MUSIC, LINE = 2_500, 1_900


class Baresip:
    """One phone of one user on `address`, registered at `registrar`; calls are answered by `accept()` only."""

    def __init__(self, user, address, registrar, folder, transport="udp", options="", first=None):
        # SIP (TLS is one above), commands, the first of its audio: ports of its own where the address is not.
        self._ports = (first, first + 2, first + 4) if first else (5060, 4444, 30_000)
        self.user, self.address, self.registrar, self.transport = user, address, registrar, transport
        home = pathlib.Path(folder) / f"baresip-{user}"
        home.mkdir(parents=True, exist_ok=True)
        self.tone, self._home = frequency(user), home
        tone(home / "tone.wav", self.tone)
        # RFC 8834 §4.5: with ICE there is one component.
        mux = "rtcp_mux yes\n" if "medianat=ice" in options else ""
        (home / "config").write_text(self._config(home) + mux, encoding="utf-8")
        (home / "accounts").write_text(
            f'"{user}" <sip:{user}@{registrar};transport={transport}>;auth_user={user};auth_pass=pw{user}'
            f";answermode=manual;audio_codecs=PCMU;regint=120{options}\n", encoding="utf-8")
        (home / "contacts").write_text("", encoding="utf-8")
        self.events, self._changed, self._answers = [], threading.Condition(), queue.Queue()
        self._log = open(home / "log", "wb")
        self.process = subprocess.Popen(["baresip", "-f", str(home), "-s"], stdin=subprocess.DEVNULL, stdout=self._log,
                                        stderr=subprocess.STDOUT)
        try:
            self._socket = wait_until(self._connect, 10, every=0.1)
            if not self._socket:
                raise RuntimeError(f"baresip {user} does not listen for commands; see {home}/log")
        except BaseException:
            self.stop()
            raise
        threading.Thread(target=self._read, daemon=True).start()

    def _config(self, home):
        modules = next((place for place in MODULE_PLACES if os.path.isdir(place)), MODULE_PLACES[0])
        lines = [
            "poll_method epoll", f"sip_listen {self.address}:{self._ports[0]}", f"net_interface {self.address}",
            f"ctrl_tcp_listen {self.address}:{self._ports[1]}", "call_local_timeout 120", "call_max_calls 4",
            f"audio_source aufile,{home}/tone.wav", f"snd_path {home}", "audio_buffer 20-160",
            # Without a jitter buffer: on a busy machine it takes a whole call for late and plays nothing.
            "jitter_buffer_delay 0-0", f"rtp_ports {self._ports[2]}-{self._ports[2] + 40}", "rtp_stats yes",
            f"module_path {modules}",
        ]
        for kind, names in (("module", AUDIO + PROTECTION), ("module_tmp", TEMPORARY), ("module_app", APPLICATIONS)):
            lines += [f"{kind} {name}" for name in names]
        return "\n".join(lines) + "\n"

    def _connect(self):
        try:
            connection = socket.create_connection((self.address, self._ports[1]), 1)
        except OSError:
            return None
        connection.settimeout(None)
        return connection

    def _read(self):
        buffer = b""
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            buffer += data
            while b":" in buffer:
                length, rest = buffer.split(b":", 1)
                size = int(length)
                if len(rest) <= size:
                    break
                message, buffer = json.loads(rest[:size].decode("utf-8", "replace")), rest[size + 1:]
                if message.get("event"):
                    with self._changed:
                        self.events.append(message)
                        self._changed.notify_all()
                else:
                    self._answers.put(message)

    def command(self, name, parameters=""):
        """The answer's text; raises when baresip says that the command failed."""
        text = json.dumps({"command": name, "params": parameters, "token": name}).encode()
        self._socket.sendall(b"%d:%s," % (len(text), text))
        answer = self._answers.get(timeout=10)
        if not answer.get("ok"):
            raise AssertionError(f"baresip {self.user}: {name} {parameters} failed: {answer.get('data')}")
        return re.sub(r"\x1b\[[0-9;]*m", "", answer.get("data") or "")

    def forget(self):
        """Events that came until now are not waited for any more."""
        with self._changed:
            self.events.clear()

    def wait(self, kind, seconds=10):
        """The first event of this kind."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                for event in self.events:
                    if event.get("type") == kind:
                        return event
                if time.monotonic() > end:
                    came = [(event.get("type"), event.get("param")) for event in self.events]
                    raise AssertionError(f"baresip {self.user}: no {kind} within {seconds} s; events: {came}")
                self._changed.wait(0.2)

    def registered(self, seconds=10):
        # Not the event: it may have come before anybody listened.
        if not wait_until(lambda: re.search(r"\bOK\b", self.command("reginfo")), seconds, every=0.1):
            raise AssertionError(f"baresip {self.user} is not registered: {self.command('reginfo')!r}")

    def dial(self, user):
        self.command("dial", f"sip:{user}@{self.registrar}")

    def accept(self):
        self.command("accept")

    def transfer(self, user):
        self.command("transfer", f"sip:{user}@{self.registrar}")

    def calls(self):
        """The phone's own list, one text per call (state and peer)."""
        lines = self.command("listcalls").splitlines()
        return [line.strip() for line in lines if re.search(r"sips?:", line)]

    def hears(self, hertz):
        """Whether what this phone decodes right now is this tone."""
        # The sndfile module starts a file whenever a stream starts; one that has stopped growing is the past.
        files = [path for path in self._home.glob("dump-*-dec.wav") if time.time() - path.stat().st_mtime < 0.5]
        tones = [frequency(str(user)) for user in range(1001, 1007)] + list(MACHINES)
        return any(heard(path, tones) == hertz for path in files)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()


def frequency(user):
    """The tone that this user's phone plays instead of a voice."""
    return 300 + int(user) % 100 * 150


def tone(path, hertz, seconds=30, rate=8000):
    samples = (int(9000 * math.sin(2 * math.pi * hertz * index / rate)) for index in range(seconds * rate))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


def heard(path, frequencies, seconds=0.5):
    """Which of the tones the phone's recording ends with, or None when its last `seconds` are silent."""
    data = path.read_bytes()
    if len(data) < 44:
        return None
    # linphone fills the header in when the call ends.
    rate, channels = struct.unpack_from("<I", data, 24)[0] or 8000, struct.unpack_from("<H", data, 22)[0] or 1
    count = int(rate * seconds)
    raw = data[44:]
    raw = raw[: len(raw) // (2 * channels) * 2 * channels][-count * 2 * channels:]
    samples = struct.unpack(f"<{len(raw) // 2}h", raw)[::channels]
    if len(samples) < count or max(map(abs, samples)) < 500:
        return None

    def power(hertz):  # Goertzel: the share of one frequency
        factor = 2 * math.cos(2 * math.pi * hertz / rate)
        before = last = 0.0
        for sample in samples:
            before, last = last, sample + factor * last - before
        return before * before + last * last - factor * before * last

    return max(frequencies, key=power)
