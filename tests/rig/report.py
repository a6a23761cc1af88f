"""One line a test, and the closing line that CI reads."""

import sys
import threading


class Report:
    def __init__(self):
        self.passed = self.failed = 0
        self._lock = threading.Lock()

    def ok(self, name, seconds, note=""):
        with self._lock:
            self.passed += 1
            print(f"ok      {name}  ({seconds:.1f} s{', ' + note if note else ''})", flush=True)

    def fail(self, name, seconds, reason, logs):
        with self._lock:
            self.failed += 1
            text = "\n          ".join(str(reason).splitlines()) or "no reason given"
            print(f"FAILED  {name}  ({seconds:.1f} s)\n          {text}\n          logs: {logs}", flush=True)

    def close(self):
        """Prints the closing line and gives the exit code. No test at all is a failure, too."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.stdout.flush()
        return 0 if self.passed and not self.failed else 1
