"""Loopback addresses of one's own, so that several runs on one machine never meet."""

import socket
import time

LOCK_PORT = 61999


class Block:
    """The addresses 127.0.B.1 to 127.0.B.254 for one B that nobody else holds.

    The claim is a UDP socket bound inside the block: it goes when the process goes, however that happens.
    """

    def __init__(self):
        # 127.0.0.x is left alone: defaults of every program on the machine meet there.
        for number in range(20, 250):
            claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                claim.bind((f"127.0.{number}.254", LOCK_PORT))
            except OSError:
                claim.close()
                continue
            self.number, self._claim = number, claim
            if all(is_free(self.host(last)) for last in (1, 10)):
                return
            claim.close()
        raise RuntimeError("no free block of loopback addresses in 127.0.20.0 to 127.0.249.0")

    def host(self, last):
        return f"127.0.{self.number}.{last}"

    def release(self):
        self._claim.close()


def is_free(host, port=5060):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def udp_is_bound(host, port):
    """Whether some process listens on this UDP address, read from the kernel's table (binding would disturb it)."""
    if ":" in host:
        words = [int.from_bytes(socket.inet_pton(socket.AF_INET6, host)[at:at + 4], "little") for at in range(0, 16, 4)]
        packed, path = "".join(f"{word:08X}" for word in words), "/proc/net/udp6"
    else:
        packed, path = "".join(f"{int(part):02X}" for part in reversed(host.split("."))), "/proc/net/udp"
    wanted = (f"{packed}:{port:04X}", f"{'0' * len(packed)}:{port:04X}")
    with open(path, encoding="ascii") as table:
        return any(line.split()[1] in wanted for line in table if ":" in line)


def free_udp_port(host):
    """A port that is free, and the one above it, for UDP and TCP."""
    for _ in range(100):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        if is_free(host, port) and is_free(host, port + 1):
            return port
    raise RuntimeError(f"no free port on {host}")


def wait_until(condition, seconds, every=0.05):
    """The first truthy value of `condition()`, or the last falsy one when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(every)
