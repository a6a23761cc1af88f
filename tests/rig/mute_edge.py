"""An edge that looks healthy and hears no SIP: whoever is content with it tests nothing.

usage: mute_edge.py CONFIGURATION   (its [api] listen line says where to answer)
"""

import http.server
import sys
import time
import tomllib


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/healthz":
            self._answer("application/json", b'{"status":"ok"}')
        elif self.path == "/metrics":
            names = ("calls", "dialogs", "transfers", "transactions", "media_ports")
            self._answer("text/plain", "".join(f"warmline_{name} 0\n" for name in names).encode())
        elif self.path == "/v1/events":
            self._answer("text/event-stream", b": nothing ever happens\n\n", length=False)
            time.sleep(3600)
        else:
            self._answer("application/json", b'{"calls":[]}')

    def _answer(self, kind, body, length=True):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


with open(sys.argv[1], "rb") as file:
    host, port = tomllib.load(file)["api"]["listen"].split(":")
http.server.ThreadingHTTPServer((host, int(port)), Answers).serve_forever()
