"""Drives a server with the Python package `websockets`, which nobody here wrote.

Takes the server's address as its one argument, prints what it has seen work,
and ends with a non-zero status at the first thing that does not.
"""

import asyncio
import json
import sys

import websockets
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

BASE = f"ws://{sys.argv[1]}"


def read(socket):
    return asyncio.wait_for(socket.recv(), 20)


async def echo():
    async with connect(f"{BASE}/echo", max_size=None) as socket:
        for message in ["hello", "", "Grüße 🎉", b"", bytes(range(256)), "x" * 70_000]:
            await socket.send(message)
            assert await read(socket) == message
        # One message in many frames.
        await socket.send(["in ", "several ", "pieces"])
        assert await read(socket) == "in several pieces"
        large = bytes(5_000_000)
        await socket.send(large)
        assert await read(socket) == large
        await asyncio.wait_for(await socket.ping(b"are you there"), 20)
        for number in range(1_000):
            await socket.send(str(number))
        for number in range(1_000):
            assert await read(socket) == str(number)
        await socket.close(code=3001, reason="done")
        assert socket.close_code == 3001


async def chat():
    users = [await connect(f"{BASE}/ws/user{number}") for number in range(20)]
    for number, user in enumerate(users):
        hello = json.loads(await read(user))
        assert hello["type"] == "connected" and hello["user_id"] == f"user{number}"
    for number, user in enumerate(users):
        await user.send(json.dumps({"type": "chat_message", "content": f"from {number}"}))
    for user in users:
        heard = [json.loads(await read(user)) for _ in users]
        assert all(set(message) == {"type", "user_id", "content", "timestamp"} for message in heard)
        assert sorted(message["content"] for message in heard) == sorted(
            f"from {number}" for number in range(20)
        )
    await users[0].send("not JSON")
    assert json.loads(await read(users[0]))["type"] == "error"
    await asyncio.gather(*(user.close() for user in users))


async def compression_is_declined():
    async with connect(f"{BASE}/echo", compression="deflate") as socket:
        await socket.send("z" * 10_000)
        assert await read(socket) == "z" * 10_000


async def refusals():
    try:
        await connect(f"{BASE}/nowhere")
        raise AssertionError("connected to a path without a route")
    except InvalidStatus as refused:
        assert refused.response.status_code == 404


async def too_big():
    # Not as a context: closing what is closed is this package's own affair.
    socket = await connect(f"{BASE}/echo")
    try:
        await socket.send(bytes(17 * 1024 * 1024))
        await read(socket)
        raise AssertionError("a message over the limit came back")
    except ConnectionClosedError as closed:
        assert closed.rcvd is not None and closed.rcvd.code == 1009, closed


async def main():
    print("websockets", websockets.__version__)
    for test in [echo, chat, compression_is_declined, refusals, too_big]:
        await asyncio.wait_for(test(), 60)
        print("works:", test.__name__)


asyncio.run(main())
