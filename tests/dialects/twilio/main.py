"""Every test of the Twilio-style dialect, one after the other, each with an edge of its own."""

import pathlib
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

import tests_twilio  # noqa: E402
import tests_verbs  # noqa: E402
from rig.net import Block  # noqa: E402


def main():
    wanted = sys.argv[1:]
    chosen = [test for test in tests_twilio.ALL + tests_verbs.ALL if not wanted or any(word in test.__name__ for word in wanted)]
    block, passed, failed = Block(), 0, 0
    folder = pathlib.Path(tempfile.mkdtemp(prefix="warmline-twilio-"))
    for test in chosen:
        began = time.monotonic()
        name = test.__name__.replace("_", " ")
        try:
            more = {"registrar": test.registrar} if hasattr(test, "registrar") else {}
            with tests_twilio.Stage(block.host(1), folder / test.__name__, **more) as stage:
                test(stage)
            passed += 1
            print(f"ok      {time.monotonic() - began:5.1f} s  {name}", flush=True)
        except Exception:  # noqa: BLE001: whatever it is, the next test goes on
            failed += 1
            print(f"FAILED  {time.monotonic() - began:5.1f} s  {name}\n{traceback.format_exc()}\n  logs: {folder / test.__name__}", flush=True)
    block.release()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
