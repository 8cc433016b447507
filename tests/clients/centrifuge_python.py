"""Drives a server with `centrifuge-python`, in JSON and in Protobuf.

Takes the server's address as its one argument, and ends with a non-zero status at the
first thing that does not work.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time

from centrifuge import Client, ReplyError, SubscriptionEventHandler

URL = f"ws://{sys.argv[1]}/connection/websocket"
SECRET = b"known to the clients, as this is a test"
PATIENCE = 20


def token(**claims):
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims.setdefault("exp", int(time.time()) + 600)
    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = head + b"." + part(json.dumps(claims).encode())
    return (body + b"." + part(hmac.new(SECRET, body, hashlib.sha256).digest())).decode()


class Heard(SubscriptionEventHandler):
    """Keeps what a subscription hears."""

    def __init__(self):
        self.publications = asyncio.Queue()
        self.moves = asyncio.Queue()

    async def on_publication(self, ctx):
        await self.publications.put(ctx.pub)

    async def on_join(self, ctx):
        await self.moves.put(("join", ctx.info.user))

    async def on_leave(self, ctx):
        await self.moves.put(("leave", ctx.info.user))


async def within(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE)


async def talk(use_protobuf):
    tokens = []

    async def refreshed():
        tokens.append(token(sub="ann", exp=int(time.time()) + (600 if tokens else 2)))
        return tokens[-1]

    ann = Client(URL, use_protobuf=use_protobuf, proxy=None, get_token=refreshed)
    bob = Client(URL, use_protobuf=use_protobuf, proxy=None, token=token(sub="bob"))
    for client in (ann, bob):
        await client.connect()
        await within(client.ready())
    handlers = [Heard(), Heard()]
    of_ann = ann.new_subscription("room:python", handlers[0])
    of_bob = bob.new_subscription("room:python", handlers[1])
    for subscription in (of_ann, of_bob):
        await subscription.subscribe()
        await within(subscription.ready())
    while await within(handlers[0].moves.get()) != ("join", "bob"):
        pass
    for number in range(20):
        data = {"number": number, "text": "Grüße 🎉"}
        packed = json.dumps(data).encode() if use_protobuf else data
        await within(of_ann.publish(packed))
        for heard in handlers:
            publication = await within(heard.publications.get())
            got = json.loads(publication.data) if use_protobuf else publication.data
            assert got == data, got
            assert publication.info.user == "ann", publication
    members = await within(of_bob.presence())
    assert sorted(it.user for it in members.clients.values()) == ["ann", "bob"], members
    stats = await within(of_bob.presence_stats())
    assert (stats.num_clients, stats.num_users) == (2, 2), stats
    try:
        await within(of_bob.history(limit=1))
        raise AssertionError("there is a history")
    except ReplyError as error:
        assert error.code == 108, error
    await of_bob.unsubscribe()
    while await within(handlers[0].moves.get()) != ("leave", "bob"):
        pass
    while len(tokens) < 2:
        await asyncio.sleep(0.05)
    await ann.disconnect()
    await bob.disconnect()


async def main():
    for use_protobuf in (False, True):
        await within(talk(use_protobuf))


asyncio.run(main())
