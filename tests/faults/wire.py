"""A TCP connection between two programs that can be made slow or cut while it is used."""

import socket
import threading
import time


class Wire:
    """Passes what comes to `address` on to `target`. `delay`: seconds for each piece, each way together; `cut`: nothing passes and
    nobody is told."""

    def __init__(self, host, target):
        self.target, self.delay, self.cut = target, 0.0, False
        self.listener = socket.create_server((host, 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target, 3)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                near.close()
                continue
            for source, sink, way in ((near, far, "there"), (far, near, "back")):
                threading.Thread(target=self._pump, args=(source, sink, way), daemon=True).start()

    def _pump(self, source, sink, way):
        try:
            while octets := source.recv(65_536):
                if self.delay and way == "there":
                    time.sleep(self.delay)
                while self.cut:
                    time.sleep(0.05)
                sink.sendall(octets)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
