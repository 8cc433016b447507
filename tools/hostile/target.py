"""The server that is attacked: starting it, looking at it, and using it as a good client does."""

import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import threading
import time
import urllib.request

HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MASK = b"\x37\xfa\x21\x3d"


def frame(first, payload):
    """A frame as a client sends it; `first` is FIN, reserved bits and opcode."""
    if len(payload) < 126:
        head = bytes([first, 0x80 | len(payload)])
    else:
        head = bytes([first, 0x80 | 126]) + struct.pack(">H", len(payload))
    masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    return head + MASK + masked


class GoodClient:
    """A session that must work while others attack."""

    def __init__(self, port, path):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(HANDSHAKE % path)
        status = self.stream.readline()
        assert b" 101 " in status, f"refused: {status}"
        while self.stream.readline() != b"\r\n":
            pass

    def say(self, text):
        self.socket.sendall(frame(0x81, text))

    def hear(self):
        """The next text. A ping is answered on the way."""
        first, length = self.stream.read(2)
        if length == 126:
            (length,) = struct.unpack(">H", self.stream.read(2))
        payload = self.stream.read(length)
        if first == 0x89:
            self.socket.sendall(frame(0x8A, payload))
            return self.hear()
        assert first == 0x81, f"not a text frame: {first:#x} {payload!r}"
        return payload

    def close(self):
        self.stream.close()
        self.socket.close()


class Target:
    """A running server. What it holds is read from /proc and from its statistics."""

    def __init__(self, binary, options):
        self.log = []
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.port = self.admin = None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"listening on ws://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
            if found := re.search(r"metrics and health on http://127\.0\.0\.1:(\d+)", line):
                self.admin = int(found[1])
            if self.port and self.admin:
                break
        else:
            raise SystemExit("the server ended: " + "".join(self.log))
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()

    def total(self, key):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/stats", timeout=10) as answer:
            return json.load(answer)["total"][key]

    def resident(self):
        """Resident memory in KiB."""
        pages = pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") // 1024

    def descriptors(self):
        """Open descriptors in the table of each thread: each shard has its own.

        The control plane lets go of the last request for its statistics a
        moment later, so two looks must agree."""
        tasks, before = pathlib.Path(f"/proc/{self.process.pid}/task"), None
        while True:
            now = {task.name: len(list((task / "fd").iterdir())) for task in tasks.iterdir()}
            if now == before:
                return now
            before = now
            time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Witness(threading.Thread):
    """Publishes numbers to three sessions while an attack goes on; each must hear each,
    and now and then a newcomer must be let in and served."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target = target
        self.clients = [GoodClient(target.port, b"/broadcast") for _ in range(3)]
        self.stopping = threading.Event()
        self.deliveries, self.newcomers, self.slowest, self.fault = 0, 0, 0.0, None
        self.peak = 0

    def run(self):
        try:
            number = 0
            while not self.stopping.wait(0.02):
                begun, number = time.monotonic(), number + 1
                self.publish(b"witness %d" % number)
                if number % 10 == 0:
                    newcomer = GoodClient(self.target.port, b"/echo")
                    newcomer.say(b"new")
                    assert newcomer.hear() == b"new", "a newcomer was not served"
                    newcomer.close()
                    self.newcomers += 1
                self.slowest = max(self.slowest, time.monotonic() - begun)
                self.peak = max(self.peak, self.target.resident())
        except Exception as error:  # whatever it is, the run has failed
            self.fault = f"{type(error).__name__}: {error}"

    def publish(self, text):
        self.clients[0].say(text)
        for client in self.clients:
            # Attackers publish on other paths only.
            assert client.hear() == text, "a delivery was lost"
            self.deliveries += 1

    def end(self):
        self.stopping.set()
        self.join(30)
        if self.is_alive() and not self.fault:
            self.fault = "a delivery did not come"
        for client in self.clients:
            client.close()
