"""Kamailio as a plain record-routing proxy between everybody and the edge."""

import pathlib
import shutil
import subprocess

from .net import udp_is_bound, wait_until

CONFIGURATION = pathlib.Path(__file__).resolve().parent / "kamailio.cfg"


class Kamailio:
    """Listens on `hosts`, sends what is not for somebody else to the edge, and stays in every dialog's route."""

    @staticmethod
    def installed():
        return shutil.which("kamailio") is not None

    def __init__(self, hosts, edge, folder):
        folder = pathlib.Path(folder)
        text = CONFIGURATION.read_text(encoding="utf-8").replace("@EDGE@", edge)
        text = text.replace("@LISTEN@", "\n".join(f"listen=udp:{host}:5060" for host in hosts))
        path = folder / "kamailio.cfg"
        path.write_text(text, encoding="utf-8")
        self._log = open(folder / "kamailio.log", "wb")
        words = ["kamailio", "-f", str(path), "-DD", "-E", "-m", "32", "-M", "4", "-Y", str(folder), "-P", str(folder / "kamailio.pid")]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, cwd=folder)
        if not wait_until(lambda: self.process.poll() is not None or all(udp_is_bound(host, 5060) for host in hosts), 10) or self.process.poll():
            self.stop()
            raise RuntimeError(f"Kamailio did not start; see {path.parent}/kamailio.log")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()
