"""Runs the tests of tests.py, each on a stage of its own."""

import pathlib
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent), str(HERE), str(HERE.parents[2] / "examples" / "bot")]

import stage  # noqa: E402
import tests  # noqa: E402
from rig.report import Report  # noqa: E402


def main(arguments):
    known = {name: test for name, test in vars(tests).items() if callable(test) and getattr(test, "is_test", False)}
    if "--list" in arguments:
        print("\n".join(known))
        return 0
    unknown = [name for name in arguments if name not in known]
    if unknown:
        print(f"no such test: {', '.join(unknown)}", file=sys.stderr)
        return 2
    report = Report()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="warmline-bot-"))
    for name in arguments or known:
        began = time.monotonic()
        test = known[name]
        try:
            with stage.Stage(folder / name, **test.options) as on:
                test(on)
                on.nothing_is_left()
            report.ok(name, time.monotonic() - began)
        except Exception as error:  # noqa: BLE001: a test may fail in any way, and the others go on
            place = traceback.extract_tb(error.__traceback__)
            line = next((frame for frame in reversed(place) if frame.filename.endswith("tests.py")), place[-1])
            report.fail(name, time.monotonic() - began, f"{type(error).__name__}: {error}\n{line.filename}:{line.lineno}", folder / name)
    return report.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
