"""A server on the Python package `websockets`, which nobody here wrote.

On /echo each gets back what it sends, on /broadcast all get what anybody sends.
Prints its port, and ends when its standard input does.
"""

import asyncio
import sys

from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosedError

everybody = set()


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
    everybody.add(connection)
    try:
        async for message in connection:
            broadcast(everybody, message)
    finally:
        everybody.discard(connection)


async def main():
    async with serve(talk, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
