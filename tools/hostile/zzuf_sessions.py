#!/usr/bin/env python3
"""Sends valid sessions whose bits zzuf has flipped, and wants each connection ended.

usage: zzuf_sessions.py PORT CASES

The seed is the number of the case, so that any case can be sent again. Prints
`cases N` and what the server answered how often; exits 1 if a connection was
left open after its sender had closed its half.
"""

import collections
import pathlib
import socket
import subprocess
import sys
import tempfile

from target import HANDSHAKE, frame

# How many of all bits are flipped.
RATIOS = ["0.0005", "0.002", "0.01", "0.05", "0.2"]


def session(path):
    """A handshake and a bit of everything behind it."""
    return HANDSHAKE % path, b"".join([
        frame(0x81, b"a whole message"),
        frame(0x01, "in pieces: ä".encode()), frame(0x89, b"ping"), frame(0x80, b" and the end"),
        frame(0x82, bytes(range(256)) * 2),
        frame(0x8A, b""),
        frame(0x81, b'{"type":"chat_message","content":{"a":[1,2,3]}}'),
        frame(0x88, b"\x03\xe8goodbye"),
    ])


def flipped(file, seed, ratio, places):
    command = ["zzuf", "-s", str(seed), "-r", ratio, *places]
    return subprocess.run(command, stdin=open(file, "rb"), capture_output=True, check=True).stdout


def send(port, data):
    """Sends everything and our end; the answer, and whether the end came back."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        answer = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused halfway
        try:
            while chunk := connection.recv(65_536):
                answer += chunk
        except TimeoutError:
            return answer, False
        except OSError:
            pass  # a reset is an end too
        return answer, True


def main():
    port, cases = int(sys.argv[1]), int(sys.argv[2])
    answers, stuck = collections.Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, path in [("echo", b"/echo"), ("fuzzed", b"/fuzzed"), ("chat", b"/ws/zzuf")]:
            head, frames = session(path)
            file = pathlib.Path(folder, name)
            file.write_bytes(head + frames)
            whole, behind = [], ["-b", f"{len(head)}-"]
            files += [(file, whole), (file, ["-b", f"-{len(head)}"]), (file, behind)]
        for seed in range(cases):
            file, places = files[seed % len(files)]
            ratio = RATIOS[seed // len(files) % len(RATIOS)]
            answer, ended = send(port, flipped(file, seed, ratio, places))
            if not ended:
                stuck.append(seed)
            answers[answer[9:12].decode(errors="replace") or "nothing"] += 1
    print(f"cases {cases}")
    print(", ".join(f"{status}: {count}" for status, count in sorted(answers.items())))
    if stuck:
        raise SystemExit(f"never ended by the server, seeds: {stuck}")


main()
