"""Tests of the RingCentral dialect by the vendor's clients. See `run --help`."""

import pathlib
import shutil
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]

import stage  # noqa: E402
import tests  # noqa: E402


def main(arguments):
    known = [(name.removeprefix("test_").replace("_", "-"), test) for name, test in vars(tests).items() if name.startswith("test_")]
    if "--list" in arguments:
        print("\n".join(name for name, _ in known))
        return 0
    strange = [name for name in arguments if name not in dict(known)]
    if strange:
        print(f"no such test: {', '.join(strange)}", file=sys.stderr)
        return 2
    passed = failed = 0
    for name, test in known:
        if arguments and name not in arguments:
            continue
        start = time.monotonic()
        folder = pathlib.Path(tempfile.mkdtemp(prefix="warmline-ringcentral-"))
        try:
            with stage.Stage(folder) as scene:
                test(scene)
                scene.must_be_clean()
        except Exception:  # whatever stopped it, the next one runs
            failed += 1
            print(f"FAILED  {name}  {time.monotonic() - start:.1f} s\n{traceback.format_exc()}edge: {folder}", flush=True)
            continue
        passed += 1
        shutil.rmtree(folder, ignore_errors=True)
        print(f"ok      {name}  {time.monotonic() - start:.1f} s", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
