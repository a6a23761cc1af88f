"""linphonec driven over its standard input: the linphone that plays one WAV file as its voice and writes what it hears to another."""

import re

from baresip import MACHINES, frequency, heard
from linphone import Linphone


class Linphonec(Linphone):
    """As `Linphone`, with a mouth and an ear of its own."""

    # One codec, so that what it writes is of one rate from the first call to the last.
    CODECS = "[audio_codec_0]\nmime=PCMU\nrate=8000\nenabled=1\n"
    PROGRAM, PROMPT, ARGUMENTS = "linphonec", "linphonec> ", ["-c", "{rc}"]

    def _started(self, home, port):
        self._ear = home / "heard.wav"
        for line in (f"ports sip {port}", "soundcard use files", f"play {home}/tone.wav", f"record {self._ear}"):
            self.command(line)

    def _answered(self, line, answer):
        return answer.rsplit(self.PROMPT, 1)[0].strip()

    def register(self):
        self.command(f"register sip:{self.user}@{self.registrar} sip:{self.registrar};transport={self.transport} pw{self.user}")

    def is_registered(self):
        return "registered, identity" in self.command("status register")

    def call(self, user):
        return int(re.search(r"assigned id (\d+)", self.command(f"call sip:{user}@{self.registrar}"))[1])

    def pause(self, number):
        self.command("pause")

    def resume(self, number):
        self.command(f"resume {number}")

    def transfer(self, moved, target):
        self.command(f"transfer {moved} --to-call {target}")

    def calls(self):
        rows = re.findall(r"^\s*(\d+)\s*\|[^|]*\|\s*(\w+)\s*\|", self.command("calls"), re.M)
        states = ((int(number), state.removeprefix("LinphoneCall")) for number, state in rows)
        return {number: state for number, state in states if state not in ("End", "Released", "Error")}

    def hears(self, hertz):
        """Whether what it wrote last is this tone."""
        tones = [frequency(str(user)) for user in range(1001, 1007)] + list(MACHINES)
        return self._ear.exists() and heard(self._ear, tones) == hertz
