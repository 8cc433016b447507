"""A server on the Python package `websockets`, which nobody here wrote.

On /echo each gets back what it sends, on /broadcast all get what anybody sends.
/socket/websocket speaks as much of Phoenix Channels (version 2) as a load needs;
with ?closed nobody may join room:1.
Prints its port, and ends when its standard input does.
"""

import asyncio
import json
import sys

from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosedError

everybody = set()
channels = {}


async def talk(connection):
    try:
        await listen(connection)
    except ConnectionClosedError:
        pass  # A reset is a way to leave.


async def listen(connection):
    if connection.request.path == "/echo":
        async for message in connection:
            await connection.send(message)
        return
    if connection.request.path.startswith("/socket/websocket"):
        await serve_channels(connection)
        return
    everybody.add(connection)
    try:
        async for message in connection:
            broadcast(everybody, message)
    finally:
        everybody.discard(connection)


async def serve_channels(connection):
    def reply(join_ref, ref, topic, status):
        payload = {"status": status, "response": {}}
        return json.dumps([join_ref, ref, topic, "phx_reply", payload])

    joined = set()
    try:
        async for message in connection:
            join_ref, ref, topic, event, payload = json.loads(message)
            refused = event == "phx_join" and topic == "room:1" and is_closed(connection)
            if event == "phx_join" and not refused:
                joined.add(topic)
                channels.setdefault(topic, set()).add(connection)
            elif topic in joined:
                push = json.dumps([None, None, topic, event, payload])
                broadcast(channels[topic], push)
            await connection.send(reply(join_ref, ref, topic, "error" if refused else "ok"))
    finally:
        for topic in joined:
            channels[topic].discard(connection)


def is_closed(connection):
    return "closed" in connection.request.path


async def main():
    async with serve(talk, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
