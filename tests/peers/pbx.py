"""Asterisk out of a folder: a Debian tree that debootstrap made, entered by chroot, on an address of its own."""

import json
import os
import pathlib
import re
import shutil
import subprocess

from rig.net import wait_until

HERE = pathlib.Path(__file__).resolve().parent


def tree():
    """Where the folder lies (tests/run builds it)."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(os.environ.get("WARMLINE_PBX") or os.path.join(cache, "warmline", "pbx"))


class Pbx:
    """One running Asterisk with the given users (name and password `pw` + name), and its command line."""

    def __init__(self, address, users, folder):
        self.address, self.tree = address, tree()
        if not (self.tree / "usr/sbin/asterisk").exists():
            raise RuntimeError(f"no PBX in {self.tree}: tests/run builds it (or set WARMLINE_PBX)")
        self.home = f"/var/lib/warmline/{address}"  # as the chroot sees it
        self._outside = self.tree / self.home.lstrip("/")
        shutil.rmtree(self._outside, ignore_errors=True)
        (self._outside / "etc").mkdir(parents=True)
        (self._outside / "var/spool").mkdir(parents=True)
        for template in (HERE / "asterisk").iterdir():
            text = template.read_text(encoding="utf-8")
            if template.name == "pjsip.conf":
                text += "".join(user_sections(user) for user in users)
            for word, value in (("HOME", self.home), ("ADDRESS", address), ("MODULES", self._modules())):
                text = text.replace(f"@{word}@", value)
            (self._outside / "etc" / template.name).write_text(text, encoding="utf-8")
        self._name_this_host()
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        self._log = open(pathlib.Path(folder) / "pbx.log", "wb")
        self.process = subprocess.Popen(self._command("-f"), stdin=subprocess.DEVNULL, stdout=self._log,
                                        stderr=subprocess.STDOUT)
        if not wait_until(lambda: "fully booted" in self.cli("core waitfullybooted"), 30, every=0.3):
            self.stop()
            raise RuntimeError(f"the PBX did not start; see {folder}/pbx.log")

    def _command(self, *arguments):
        return ["chroot", str(self.tree), "/usr/sbin/asterisk", "-C", f"{self.home}/etc/asterisk.conf", *arguments]

    def _modules(self):
        found = sorted((self.tree / "usr/lib").glob("**/asterisk/modules"))
        return "/" + str(found[0].relative_to(self.tree))

    def _name_this_host(self):
        # Asterisk resolves the machine's own name when it starts; a bare tree has no hosts file.
        hosts = self.tree / "etc/hosts"
        text = hosts.read_text() if hosts.exists() else ""
        if os.uname().nodename not in text.split():
            hosts.write_text(text + f"127.0.0.1 localhost {os.uname().nodename}\n")

    def cli(self, line):
        done = subprocess.run(self._command("-rx", line), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        return done.stdout + done.stderr

    def version(self):
        return self.cli("core show version").strip().splitlines()[0].split(" built")[0]

    def channels(self):
        """(channels, calls) as the PBX counts them."""
        text = self.cli("core show channels count")
        found = re.search(r"(\d+) active channels?.*?(\d+) active calls?", text, re.S)
        if not found:
            raise AssertionError(f"the PBX does not tell its channels: {text!r}")
        return int(found[1]), int(found[2])

    def show_channels(self):
        return self.cli("core show channels concise").strip()

    def contacts(self, user):
        """The user's bindings as the PBX stores them: dictionaries with `uri` and `path` among the rest."""
        rows = self.cli("database show registrar/contact").splitlines()
        return [json.loads(row.split(": ", 1)[1]) for row in rows if row.startswith(f"/registrar/contact/{user};")]

    def trace(self):
        """Every SIP message into pbx.log from here on."""
        self.cli("pjsip set logger on")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()
        shutil.rmtree(self._outside, ignore_errors=True)


def user_sections(user):
    return (f"\n[{user}](phone)\nauth = {user}\naors = {user}\n"
            f"[{user}](secret)\nusername = {user}\npassword = pw{user}\n"
            f"[{user}](place)\n")
