"""The contract of the public warm-transfer tutorial: the same routes in the same order, on a server with one thread.

It asks the REST API from within a webhook, before it answers that: an edge that waited for the answer would wait for ever.
"""

import http.server
import re
import threading
from urllib.parse import parse_qsl, urlsplit

from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Dial, VoiceResponse


class Application:
    """`base` is where the edge reaches it; `seen` is what it was asked: path, parameters, whether the signature was right."""

    def __init__(self, host, sdk, token, number):
        self.sdk, self.number, self.seen, self.active = sdk, number, [], {}
        self.validator = RequestValidator(token)
        self.documents = {}      # path → TwiML, (content type, octets), a status, or what gives one of these
        application = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                application.answer(self, "POST")

            def do_GET(self):
                application.answer(self, "GET")

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer((host, 0), Handler)   # one request after the other
        self.base = f"http://{host}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler, method):
        length = int(handler.headers.get("Content-Length") or 0)
        form = parse_qsl(handler.rfile.read(length).decode(), keep_blank_values=True)
        parts = urlsplit(handler.path)
        signed = self.validator.validate(self.base + handler.path, dict(form), handler.headers.get("X-Twilio-Signature", ""))
        told = dict(form) or dict(parse_qsl(parts.query, keep_blank_values=True))
        self.seen.append((parts.path, told, signed))
        status, kind, body = 200, "text/html; charset=utf-8", ""
        own = self.documents.get(parts.path)
        if own is not None:
            own = own(told) if callable(own) else own
            if isinstance(own, int):
                status = own
            elif isinstance(own, tuple):
                kind, body = own
            else:
                body = own
        elif method == "GET":
            status = 405
        else:
            status, body = self.route(parts.path, told)
        octets = body if isinstance(body, bytes) else body.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(octets)))
        handler.end_headers()
        handler.wfile.write(octets)

    def route(self, path, form):
        if path == "/conference/connect/client":
            conference = form["CallSid"]
            self.active["agent1"] = conference
            self.call("agent1", conference)
            return 200, self.conference(conference, start=False, end=True)
        if match := re.fullmatch(r"/conference/(\w+)/call", path):
            conference = self.active[match[1]]
            self.call("agent2", conference)
            return 200, ""
        if match := re.fullmatch(r"/conference/(\w+)/connect/(\w+)", path):
            return 200, self.conference(match[1], start=True, end=match[2] == "agent2")
        if path == "/conference/wait":
            response = VoiceResponse()
            response.say("Thank you for calling. Please wait in line for a few seconds. An agent will be with you shortly.")
            response.play("/music.wav")
            return 200, str(response)
        return 404, ""

    def call(self, agent, conference):
        self.sdk.calls.create(to=f"client:{agent}", from_=self.number, url=f"{self.base}/conference/{conference}/connect/{agent}")

    @staticmethod
    def conference(name, start, end):
        response = VoiceResponse()
        dial = Dial()
        dial.conference(name, start_conference_on_enter=start, end_conference_on_exit=end, wait_url="/conference/wait")
        response.append(dial)
        return str(response)

    def paths(self):
        return [path for path, _, _ in self.seen]
