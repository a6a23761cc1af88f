"""The API against its own description."""

import base64
import http.client
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from rig.edge import REPOSITORY, TOKEN, Edge
from rig.net import Block
from rig.report import Report

LOGS = REPOSITORY / "target/api"
ACCOUNT, SECRET = "AC" + "0" * 31 + "1", "the-token-of-the-account"
CONFIGURATION = """\
[edge]
domain = "example.test"

[[listen]]
transport = "udp"
address = "{host}:5060"

[media]
recordings = "{folder}/recordings"

[[user]]
name = "agent1"
password = "secret"

[[application]]
name = "sales"
match = '^\\+15550'

[[application]]
name = "robot"
match = '^robot'

[[application]]
name = "conference"
match = "^conf_"

[[application]]
name = "line"
match = '^line$'

[[queue]]
name = "line"
application = "line"

[[bot.channel]]
application = "robot"
url = "http://{host}:9/turn"
token = "token-of-the-bot"

[webhook]
allow = ["127.0.0.0/8"]

[twilio]
account_sid = "{account}"
auth_token = "{secret}"

[[twilio.number]]
application = "sales"
phone_number = "+15550001"
voice_url = "http://{host}:9/voice"

[ringcentral]
client_id = "test-app"
client_secret = "the-secret-of-test-app"
account = "400100"

[[ringcentral.extension]]
user = "agent1"
number = "101"
id = "1001"
jwt = "a-long-assertion-of-agent1"
password = "password-of-agent1"
"""
# A WebSocket, whose requests are frames; and what stands for everything else.
UNDESCRIBED = {"/restapi/ws"}


def written_paths():
    """Every path that a source file of the API gives to a router, its names taken out."""
    found = set()
    for source in (REPOSITORY / "src/api").rglob("*.rs"):
        text = source.read_text(encoding="utf-8").split("#[cfg(test)]")[0]
        if "tests" in source.name:
            continue
        found |= set(re.findall(r'\.route\(\s*"([^"]+)"', text))
        for described in re.findall(r"utoipa::path\((.*?)\)\]", text, re.S):
            found |= set(re.findall(r'path = "([^"]+)"', described))
    return {path for path in found if "{*" not in path}


def nameless(path):
    return re.sub(r"\{[^}]*\}", "{}", path)


def everything_is_described(edge):
    status, document = edge.request("GET", "/openapi.json")
    assert status == 200, f"/openapi.json answers {status}"
    (LOGS / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    described = {nameless(path) for path in document["paths"]}
    written = written_paths() - UNDESCRIBED
    assert len(written) > 60, f"only {len(written)} paths are found in the sources: this test does not look right"
    # Routes are nested under their account, and a resource may stand for several.
    def form(path):
        return re.compile(".*" + re.escape(nameless(path)).replace(r"\{\}", "[^/]+") + r"(\.json)?")
    lacking = sorted(path for path in written if not any(form(path).fullmatch(known) for known in described))
    assert not lacking, f"not in /openapi.json: {', '.join(lacking)}"
    return f"{len(written)} paths"


def ringcentral_token(edge):
    connection = http.client.HTTPConnection(*edge._api, timeout=5)
    basic = base64.b64encode(b"test-app:the-secret-of-test-app").decode()
    body = urllib.parse.urlencode({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a-long-assertion-of-agent1"})
    connection.request("POST", "/restapi/oauth/token", body,
                       {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    text = answer.read().decode()
    assert answer.status == 200, f"no RingCentral token: {answer.status} {text}"
    return json.loads(text)["access_token"]


def asked(edge, name, credential, paths, seconds, folder):
    """Everything under `paths`, by whoever has this credential: the number of requests."""
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / f"{name}.ndjson"
    base = "http://%s:%d" % edge._api
    words = [str(pathlib.Path(sys.executable).parent / "schemathesis"), "run", str(folder / "openapi.json"), "--url", base,
             "--checks", "not_a_server_error", "--include-path-regex", paths, "--exclude-path-regex", "^/v1/events$",
             "--header", f"Authorization: {credential}", "--max-time", str(seconds), "--max-examples", "10000",
             "--phases", "examples,coverage,fuzzing", "--workers", "2", "--request-timeout", "50", "--suppress-health-check", "all", "--warnings", "off",
             "--generation-database", "none", "--no-color", "--report-ndjson-path", str(report)]
    if seconds <= 60:
        words += ["--seed", "20261120"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=seconds + 240)
    (folder / f"{name}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    cases = re.search(r"(\d[\d,]*) generated", done.stdout)
    assert done.returncode == 0, "\n".join((done.stdout + done.stderr).splitlines()[-40:])
    assert cases and int(cases[1].replace(",", "")) > 100, f"hardly anything was asked: {done.stdout[-500:]}"
    assert edge.alive(), "the edge has ended"
    return f"{cases[1]} requests"


def main():
    long = "--long" in sys.argv[1:]
    seconds = 300 if long else 30
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    report, block = Report(), Block()
    host = block.host(1)
    configuration = CONFIGURATION.format(host=host, folder=LOGS, account=ACCOUNT, secret=SECRET)
    edge = Edge(host, configuration, LOGS / "edge")
    basic = "Basic " + base64.b64encode(f"{ACCOUNT}:{SECRET}".encode()).decode()
    rows = [
        ("every endpoint is described", lambda: everything_is_described(edge)),
        ("native", lambda: asked(edge, "native", f"Bearer {TOKEN}", "^/(v1/(?!Workspaces)|healthz|readyz|metrics|openapi)", seconds, LOGS)),
        ("twilio", lambda: asked(edge, "twilio", basic, "^/(2010-04-01/|v1/Workspaces)", seconds, LOGS)),
        ("ringcentral and bot", lambda: asked(edge, "ringcentral", f"Bearer {ringcentral_token(edge)}", "^/restapi/", seconds, LOGS)),
    ]
    try:
        for name, body in rows:
            begun = time.monotonic()
            try:
                report.ok(name, time.monotonic() - begun, body())
            except Exception as error:
                report.fail(name, time.monotonic() - begun, f"{type(error).__name__}: {error}", LOGS)
        log = (LOGS / "edge/edge.log").read_text(encoding="utf-8", errors="replace")
        if "panicked" in log:
            report.fail("no panic", 0, log[log.index("panicked") - 200:][:1500], LOGS)
        else:
            report.ok("no panic", 0)
    finally:
        edge.stop()
        block.release()
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
