#!/usr/bin/env python3
"""A bot for callers, with nothing but Python's standard library: bot.py [HOST:PORT] [OPERATOR]

Every turn of a call is one POST with JSON; the replies say what the caller hears and what becomes of the call:

    [[application]]                            [[bot.channel]]
    name = "robot"                             application = "robot"
    match = "^5000$"                           url = "http://127.0.0.1:5005/turn"
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MENU = "Press 1 for a person, 2 for the front desk, 3 to be sent away, 0 to hang up."


class Bot:
    def __init__(self, operator="1001"):
        self.operator = operator

    def turn(self, request):
        """The replies to one turn. `query` is what was pressed, `event` what happened."""
        heard = request.get("query") or request.get("event")
        status = request["rawRequest"].get("transferStatus")
        customer = request["rawRequest"]["caller"]
        if status:  # the caller is back
            return [text("Welcome back." if status["status"] == "SUCCESS" else "Nobody is there."), text(MENU)]
        match heard:
            case "/start" | "noDtmfAnswerEvent":
                return [text(MENU)]
            case "1":  # and back to us, when the operator has hung up or does not answer
                shown = {"P-Asserted-Identity": f"<sip:{customer}@example.test>"}
                return [{"type": "switch", "phoneNumber": self.operator, "timeout": "20", "headers": shown,
                         "continueCall": True, "continueRecording": True}]
            case "2":
                return [{"type": "switch", "phoneNumber": self.operator}]
            case "3":
                return [{"type": "switch", "phoneNumber": self.operator, "method": "refer"}]
            case "0":
                return [text("Good bye."), {"type": "hangup"}]
            case "hangup" | "botHangup":
                return []  # nobody is there to hear us
        return [text("That is no choice."), text(MENU)]


def text(words):
    return {"type": "text", "text": words}


class Door(BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"data": {"replies": self.server.bot.turn(request)}, "questionId": request["questionId"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    host, _, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:5005").rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Door)
    server.bot = Bot(*sys.argv[2:3])
    server.serve_forever()
