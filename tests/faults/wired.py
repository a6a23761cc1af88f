"""Phones over TCP and WebSocket whose connection breaks in the ways in which connections break."""

import base64
import os
import re
import socket
import struct
import threading
import time

from desk import Watched
from dialects.phone import Message, wait_until


class Wired(Watched):
    """A phone on one connection. What breaks, and when it connects again, the test says.

    `kind`: `tcp` or `ws`. `chunk`: so many octets in one write; 0: all.
    """

    def __init__(self, name, edge, password="", kind="tcp", chunk=0, **more):
        self.kind, self.chunk = kind, chunk
        self.stream, self.changed, self.sending = None, threading.Condition(), threading.Lock()
        self.lost = []                 # connections that nobody reads any more
        super().__init__(name, edge, password, **more)
        where = self.host if kind == "tcp" else f"{name}.invalid"
        self.contact = f"<sip:{name}@{where};transport={kind}>"
        self.connect()

    # --- the connection ----------------------------------------------------------------------------------------------

    def connect(self):
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        stream.settimeout(5)
        stream.bind((self.address[0], 0))
        stream.connect(self.edge)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.kind == "ws":
            self._upgrade(stream)
        stream.settimeout(0.2)
        with self.changed:
            self.stream = stream
            self.changed.notify_all()

    def _upgrade(self, stream):
        key = base64.b64encode(os.urandom(16)).decode()
        stream.sendall((f"GET / HTTP/1.1\r\nHost: {self.edge[0]}:{self.edge[1]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n").encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            octet = stream.recv(1)
            assert octet, f"the edge refused a WebSocket: {answer!r}"
            answer += octet
        assert answer.startswith(b"HTTP/1.1 101"), f"no WebSocket: {answer[:80]!r}"

    def reset(self):
        """RST, as a middle box sends it that forgot us."""
        stream = self._take()
        if stream:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.close()

    def drop(self):
        """FIN without a word: no unregistering, no WebSocket close."""
        stream = self._take()
        if stream:
            stream.close()

    def half_open(self):
        """We have gone and the edge is not told: what it writes is taken by nobody."""
        stream = self._take()
        if stream:
            self.lost.append(stream)

    def _take(self):
        with self.changed:
            stream, self.stream = self.stream, None
            return stream

    def close(self):
        self.closed = True
        self.drop()
        for stream in self.lost:
            stream.close()
        super().close()

    # --- messages ----------------------------------------------------------------------------------------------------

    def _transmit(self, text):
        if not text.startswith("SIP/2.0"):
            text = text.replace("Via: SIP/2.0/UDP", f"Via: SIP/2.0/{self.kind.upper()}", 1)
        with self.sending:
            stream = self.stream
            if stream is None:
                return
            octets = text.encode()
            if self.kind == "ws":
                octets = _frame(octets)
            try:
                step = self.chunk or len(octets)
                for at in range(0, len(octets), step):
                    stream.sendall(octets[at:at + step])
            except OSError:
                return
        self.crossing(self.name, ">", text.splitlines()[0])

    def _read(self):
        known, octets = None, b""
        while not self.closed:
            with self.changed:
                stream = self.stream
                if stream is None:
                    self.changed.wait(0.2)
                    continue
            if stream is not known:
                known, octets = stream, b""
            try:
                more = stream.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                more = b""
            if not more:
                with self.changed:
                    if self.stream is stream:
                        self.stream = None
                continue
            octets += more
            while True:
                message, octets = self._cut(stream, octets)
                if message is None:
                    break
                if message.strip():
                    self._handle(Message(message))

    def _cut(self, stream, octets):
        """The first whole message and what follows it."""
        if self.kind == "ws":
            return self._cut_frame(stream, octets)
        octets = octets.lstrip(b"\r\n")
        head, end, _ = octets.partition(b"\r\n\r\n")
        if not end:
            return None, octets
        length = re.search(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d+)", head, re.M | re.I)
        whole = len(head) + 4 + int(length[1] if length else 0)
        return (octets[:whole], octets[whole:]) if len(octets) >= whole else (None, octets)

    def _cut_frame(self, stream, octets):
        if len(octets) < 2:
            return None, octets
        length, at = octets[1] & 0x7F, 2
        if length == 126:
            if len(octets) < 4:
                return None, octets
            length, at = struct.unpack("!H", octets[2:4])[0], 4
        if len(octets) < at + length:
            return None, octets
        kind, body, rest = octets[0] & 0x0F, octets[at:at + length], octets[at + length:]
        if kind == 9:
            with self.sending:
                try:
                    stream.sendall(_frame(body, 10))
                except OSError:
                    pass
        return (body if kind in (1, 2) else b"\r\n"), rest

    def come_back(self):
        """Connects and registers; says how long it took until the edge had agreed."""
        begun = time.monotonic()
        self.connect()
        self.register()
        return time.monotonic() - begun

    def hang_up_lost(self):
        """The system gives up at last what was left half open, and the edge is told."""
        for stream in self.lost:
            stream.close()
        self.lost.clear()

    def is_cut_off(self):
        return self.stream is None

    def wait_until_cut_off(self, seconds=10):
        wait_until(self.is_cut_off, seconds, f"{self.name} notices that its connection is gone")


def _frame(body, kind=1):
    """RFC 6455 §5.2: a whole message from a client, masked."""
    mask, size = os.urandom(4), len(body)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack("!H", size)
    masked = bytes(octet ^ mask[at % 4] for at, octet in enumerate(body))
    return bytes([0x80 | kind]) + length + mask + masked
