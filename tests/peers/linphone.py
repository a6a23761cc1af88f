"""linphone-daemon driven over its standard input: one command a line, `Status: Ok` or `Status: Error` back."""

import os
import pathlib
import re
import subprocess
import threading
import time

from baresip import frequency, tone
from rig.net import wait_until


class Linphone:
    """One phone of one user on `address`, registered at `registrar`; calls are answered by `answer()` only."""

    CODECS = ""
    PROGRAM, PROMPT = "linphone-daemon", "daemon-linphone>"
    ARGUMENTS = ["--config", "{rc}", "--log", "{log}", "--disable-stats-events"]

    def __init__(self, user, address, registrar, folder, transport="udp", first=None, options=""):
        self.user, self.registrar, self.transport = user, registrar, transport
        home = pathlib.Path(folder) / f"linphone-{user}"
        (home / ".local/share/linphone").mkdir(parents=True, exist_ok=True)
        audio = first + 4 if first else 31_000
        configuration = CONFIGURATION.format(user=user, address=address, sip=first or 5060, first=audio, last=audio + 40,
                                             options=options, codecs=self.CODECS)
        (home / "linphonerc").write_text(configuration, encoding="utf-8")
        self.tone = frequency(user)
        tone(home / "tone.wav", self.tone)
        self._log = open(home / "errors", "wb")
        self._text, self._changed = "", threading.Condition()
        self._serial = threading.Lock()
        arguments = [word.format(rc=home / "linphonerc", log=home / "log") for word in self.ARGUMENTS]
        self.process = subprocess.Popen(
            [self.PROGRAM, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=dict(os.environ, HOME=str(home)), cwd=home)
        threading.Thread(target=self._read, daemon=True).start()
        if not wait_until(lambda: self.PROMPT in self._text, 15):
            self.stop()
            raise RuntimeError(f"{self.PROGRAM} of {user} does not start; see {home}")
        self._started(home, first or 5060)

    def _started(self, home, port):
        """What is said to it before anything else."""

    def _read(self):
        while data := os.read(self.process.stdout.fileno(), 65536):
            with self._changed:
                self._text += data.decode("utf-8", "replace")
                self._changed.notify_all()

    def command(self, line, seconds=10):
        """The answer's text; raises when the daemon answers Error or not at all."""
        with self._serial:
            start = len(self._text)
            self.process.stdin.write((line + "\n").encode())
            self.process.stdin.flush()
            end = time.monotonic() + seconds
            with self._changed:
                while self.PROMPT not in (answer := self._text[start:]):
                    if time.monotonic() > end:
                        raise AssertionError(f"linphone {self.user}: no answer to {line!r}: {answer!r}")
                    self._changed.wait(0.2)
        return self._answered(line, answer)

    def _answered(self, line, answer):
        if "Status: Ok" not in answer:
            raise AssertionError(f"linphone {self.user}: {line!r} answered {answer.strip()!r}")
        return answer.split("Status: Ok", 1)[1].split(self.PROMPT)[0].strip()

    def register(self):
        self.command(f"register sip:{self.user}@{self.registrar} sip:{self.registrar};transport={self.transport} pw{self.user}")

    def registered(self, seconds=10):
        if not wait_until(self.is_registered, seconds, every=0.2):
            raise AssertionError(f"linphone {self.user} is not registered")

    def is_registered(self):
        return "LinphoneRegistrationOk" in self.command("register-status ALL")

    def call(self, user):
        """Dials, and gives the call's number within this phone."""
        return int(re.search(r"Id: (\d+)", self.command(f"call sip:{user}@{self.registrar}"))[1])

    def incoming(self, seconds=10):
        """Waits for a call that rings here, and gives its number."""
        number = wait_until(lambda: next((call for call, state in self.calls().items() if state == "IncomingReceived"), None),
                            seconds, every=0.1)
        if not number:
            raise AssertionError(f"linphone {self.user}: nothing rings; calls: {self.calls()}")
        return number

    def answer(self, number):
        self.command(f"answer {number}")

    def pause(self, number):
        self.command(f"call-pause {number}")

    def resume(self, number):
        self.command(f"call-resume {number}")

    def transfer(self, moved, target):
        """The warm transfer: the far end of call `moved` gets the far end of call `target` (REFER with Replaces)."""
        self.command(f"call-transfer {moved} {target}")

    def hang_up(self, number):
        self.command(f"terminate {number}")

    def calls(self):
        """{number: state} of the calls this phone still has."""
        found = {}
        for number in range(1, 9):
            try:
                state = re.search(r"State: LinphoneCall(\w+)", self.command(f"call-status {number}"))
            except AssertionError:
                continue  # no such call: never made, or gone
            if state and state[1] not in ("End", "Released", "Error"):
                found[number] = state[1]
        return found

    def wait_for(self, states, seconds=10):
        """Waits until the states of this phone's calls are these, whatever their numbers."""
        if not wait_until(lambda: sorted(self.calls().values()) == sorted(states), seconds, every=0.2):
            raise AssertionError(f"linphone {self.user}: calls are {self.calls()}, not {states}")

    def stop(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.write(b"quit\n")
                self.process.stdin.flush()
                self.process.wait(5)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self._log.close()


CONFIGURATION = """\
[sip]
sip_port={sip}
sip_tcp_port={sip}
sip_tls_port=0
bind_address={address}
use_ipv6=0
guess_hostname=0
contact="{user}" <sip:{user}@{address}:{sip}>
register_only_when_network_is_up=0
zrtp_cache_migration_done=1
{options}

[net]
mtu=1300

[rtp]
audio_rtp_port={first}-{last}
symmetric=1

[sound]
echocancellation=0

{codecs}"""
