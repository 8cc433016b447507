#!/usr/bin/env python3
"""Lets boofuzz write the handshake, and the frames behind a good one.

usage: boofuzz_session.py PORT CASES FOLDER

CASES is the limit for each of the two. Prints `cases N`; whether the server
took harm is for the caller to see, but one that no longer accepts ends the run.
"""

import itertools
import pathlib
import socket
import sys

from boofuzz import (Byte, Bytes, DWord, Delim, Group, QWord, Request, Session, Static, String, Target,
                     TCPSocketConnection, Word)

from target import HANDSHAKE


def header(name, value):
    return [String(f"{name}-name", name), Delim(f"{name}-colon", ":"), Delim(f"{name}-space", " "),
            String(f"{name}-value", value), Static(f"{name}-end", "\r\n")]


def handshake():
    line = [
        Group("method", values=["GET", "HEAD", "POST", "OPTIONS", "get", "\x16\x03"]),
        Delim("space-1", " "), String("target", "/echo"), Delim("space-2", " "),
        String("version", "HTTP/1.1"), Static("line-end", "\r\n"),
    ]
    fields = [("Host", "localhost"), ("Connection", "Upgrade"), ("Upgrade", "websocket"),
              ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
              ("Content-Length", "0")]
    lines = [part for field in fields for part in header(*field)]
    return Request("handshake", children=[*line, *lines, Static("end", "\r\n")])


def frames():
    """A short frame, and one each with 16 and 64 bits of length."""
    return Request("frames", children=[
        Static("opening", HANDSHAKE % b"/fuzzed"),
        Byte("first", 0x81, full_range=True), Byte("length", 0x85, full_range=True),
        DWord("mask", 0), Bytes("payload", b"hello", max_len=70_000),
        Static("first-16", b"\x82\xfe"), Word("length-16", 126, endian=">"),
        DWord("mask-16", 0), Bytes("payload-16", b"x" * 126, max_len=70_000),
        Static("first-64", b"\x82\xff"), QWord("length-64", 65_536, endian=">"),
        DWord("mask-64", 0), Static("payload-64", b"y" * 65_536),
        Static("close", b"\x88\x80\0\0\0\0"),
    ])


class Sample(Session):
    """A session that tries so many of all its cases, evenly spread."""

    def __init__(self, cases, **options):
        super().__init__(**options)
        self.cases = cases

    def _main_fuzz_loop(self, fuzz_case_iterator):
        step = max(self.total_num_mutations // self.cases, 1)
        super()._main_fuzz_loop(itertools.islice(fuzz_case_iterator, 0, self.cases * step, step))


def fuzz(port, request, cases, folder):
    connection = TCPSocketConnection("127.0.0.1", port, send_timeout=5, recv_timeout=5)
    session = Sample(
        cases, target=Target(connection=connection), sleep_time=0, web_port=None,
        receive_data_after_each_request=False, receive_data_after_fuzz=False,
        check_data_received_each_request=False, ignore_connection_reset=True,
        ignore_connection_aborted=True, fuzz_loggers=[], reuse_target_connection=False,
        db_filename=str(pathlib.Path(folder, f"{request.name}.db")))
    session.connect(request)
    session.fuzz(max_depth=1)
    return session.num_cases_actually_fuzzed


def main():
    port, cases, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    socket.create_connection(("127.0.0.1", port)).close()
    print("cases", sum(fuzz(port, request, cases, folder) for request in (handshake(), frames())))


main()
