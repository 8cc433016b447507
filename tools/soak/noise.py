#!/usr/bin/env python3
"""Hostile background noise for `make soak`: clients that do everything wrong.

Each kind of noise is one small loop that opens connections, misbehaves, and
goes away. None of it may hurt those who behave. Ends by itself; the last line
says how often each kind was done. Only the standard library is needed.
"""

import argparse
import asyncio
import collections
import os
import random
import socket
import struct
import time

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
done = collections.Counter()


def handshake(path, extra=""):
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{extra}\r\n"
    ).encode()


def frame(first, payload, masked=True):
    """A client's frame; `first` is its first byte, whatever that means."""
    head = bytes([first])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([bit | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
    # A mask of zeros leaves the payload as it is.
    return head + (b"\0\0\0\0" if masked else b"") + payload


MALFORMED = [
    frame(0x83, b""),  # an opcode without meaning
    frame(0xC1, b"x"),  # a reserved bit
    frame(0x80, b"x"),  # a continuation of nothing
    frame(0x09, b"x"),  # a ping in fragments
    frame(0x89, b"x" * 126),  # a ping that is too long
    frame(0x81, b"x", masked=False),  # not masked
    frame(0x81, b"\xff\xfe"),  # not UTF-8
    frame(0x88, struct.pack(">H", 1005)),  # a close code nobody may send
    frame(0x88, b"x"),  # half a close code
    b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff",  # longer than anything
    bytes(range(256)),
]

BAD_REQUESTS = [
    b"\0" * 100,
    b"GET / HTTP/1.0\r\n\r\n",
    b"BREW /echo HTTP/1.1\r\nHost: x\r\n\r\n",
    handshake("/echo").replace(b"13", b"12"),
    handshake("/nowhere"),
    handshake("/echo", "X: " + "y" * 20_000 + "\r\n"),
    handshake("/echo").replace(b"\r\n", b"\n"),
    handshake("/echo", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
]


class Noise:
    def __init__(self, host, port, until):
        self.address, self.until = (host, port), until

    async def connect(self):
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        # An address of its own, so that the clients that behave keep their ports.
        sock.bind((f"127.9.{random.randrange(1, 250)}.1", 0))
        try:
            await loop.sock_connect(sock, self.address)
        except OSError:
            sock.close()
            raise
        return sock

    async def send(self, sock, data):
        await asyncio.get_running_loop().sock_sendall(sock, data)

    async def session(self, path):
        sock = await self.connect()
        try:
            await self.send(sock, handshake(path))
            head = await self.read(sock, 4096)
            assert head.startswith(b"HTTP/1.1 101 "), head
        except BaseException:
            sock.close()
            raise
        return sock

    async def read(self, sock, most, seconds=10):
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, most), seconds)

    async def drain(self, sock):
        while await self.read(sock, 65536):
            pass

    @staticmethod
    def reset(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def malformed_frames(self):
        with await self.session(random.choice(["/echo", "/broadcast", "/ws"])) as sock:
            await self.send(sock, random.choice(MALFORMED))
            await self.drain(sock)

    async def bad_requests(self):
        with await self.connect() as sock:
            await self.send(sock, random.choice(BAD_REQUESTS))
            await self.drain(sock)

    async def half_open(self):
        with await self.connect() as sock:
            await self.send(sock, handshake("/echo")[: random.randrange(0, 100)])
            await asyncio.sleep(random.uniform(1, 15))
            if random.random() < 0.5:
                self.reset(sock)

    async def drip(self):
        with await self.connect() as sock:
            for byte in handshake("/echo"):
                await self.send(sock, bytes([byte]))
                await asyncio.sleep(0.02)
            for byte in frame(0x81, b"one byte at a time"):
                await self.send(sock, bytes([byte]))
                await asyncio.sleep(0.02)
            await self.read(sock, 4096)

    async def reset_in_a_frame(self):
        with await self.session("/broadcast") as sock:
            whole = frame(0x82, os.urandom(random.randrange(10, 70_000)))
            await self.send(sock, whole[: random.randrange(1, len(whole))])
            self.reset(sock)

    async def ping_flood(self):
        with await self.session("/echo") as sock:
            await self.send(sock, frame(0x89, b"p" * 100) * 500)
            received = 0
            while received < 500 * 102:
                received += len(await self.read(sock, 65536))

    async def fragments(self):
        with await self.session("/echo") as sock:
            await self.send(sock, frame(0x01, b"a") + frame(0x00, b"") * 2_000 + frame(0x80, b"b"))
            assert (await self.read(sock, 100)).startswith(b"\x81\x02ab")

    async def never_reads(self):
        with await self.session("/echo") as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                for _ in range(200):
                    await asyncio.wait_for(self.send(sock, frame(0x82, b"x" * 60_000)), 2)
            except asyncio.TimeoutError:
                pass
            self.reset(sock)

    async def slow_consumer(self):
        # One publishes to a path of its own, the other does not listen.
        with await self.session("/noise") as deaf, await self.session("/noise") as loud:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # More than the server and the kernel keep for one session.
            for _ in range(500):
                await self.send(loud, frame(0x82, b"x" * 20_000))
                received = 0
                while received < 20_000:
                    received += len(await self.read(loud, 65536))
            self.reset(deaf)

    async def come_and_go(self):
        with await self.connect() as sock:
            await self.send(sock, handshake("/broadcast"))
            if random.random() < 0.5:
                self.reset(sock)

    async def again_and_again(self, kind, pause):
        while time.monotonic() < self.until:
            try:
                await kind()
                done[kind.__name__] += 1
            except (OSError, asyncio.TimeoutError):
                # Cut off, as it deserves.
                done[kind.__name__] += 1
            await asyncio.sleep(random.uniform(0, 2 * pause))

    async def run(self):
        # How many at a time, and the mean pause of each.
        plan = [
            (self.malformed_frames, 8, 0.2),
            (self.bad_requests, 8, 0.2),
            (self.half_open, 100, 0.5),
            (self.drip, 10, 0.5),
            (self.reset_in_a_frame, 8, 0.2),
            (self.ping_flood, 2, 1.0),
            (self.fragments, 2, 1.0),
            (self.never_reads, 2, 2.0),
            (self.slow_consumer, 1, 5.0),
            (self.come_and_go, 10, 0.1),
        ]
        await asyncio.gather(
            *(self.again_and_again(kind, pause) for kind, many, pause in plan for _ in range(many))
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    asyncio.run(Noise(args.host, args.port, time.monotonic() + args.seconds).run())
    print(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(done.items())))


if __name__ == "__main__":
    main()
