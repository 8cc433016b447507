"""Drives a server with two Phoenix clients for Python, which nobody here wrote:
`phxsocket` (V1, numbers as refs, the first of them 0) and
`phoenix-channels-python-client` (V1 and V2).

Takes the server's address as its one argument, prints what it has seen work,
and ends with a non-zero status at the first thing that does not.
"""

import asyncio
import logging
import queue
import sys

import phxsocket
from phoenix_channels_python_client import PHXChannelsClient, PhoenixChannelsProtocolVersion
from phoenix_channels_python_client.exceptions import PHXTopicError

URL = f"ws://{sys.argv[1]}/socket/websocket"
PATIENCE = 20


def connect():
    socket = phxsocket.Client(URL)
    assert socket.connect()
    return socket


def phxsocket_talks_to_itself():
    ada, bob = connect(), connect()
    heard = queue.Queue()
    channel = ada.channel("rooms:python", {"user": "ada"})
    assert channel.join() == {}
    other = bob.channel("rooms:python")
    other.on("said", heard.put)
    assert other.join() == {}
    for number in range(100):
        payload = {"number": number, "text": "Grüße 🎉"}
        reply = channel.push("said", payload, reply=True).wait_for_response()
        assert reply == {"status": "ok", "response": {}}, reply
        assert heard.get(timeout=PATIENCE) == payload
    try:
        ada.channel("rooms:forbidden").join()
        raise AssertionError("a topic for nobody was joined")
    except phxsocket.channel.ChannelConnectError as refused:
        assert refused.args == ({"reason": "unauthorized"},), refused.args
    ada.close()
    bob.close()


async def the_other_client_listens(version):
    beats = asyncio.Event()
    heard = asyncio.Queue()

    async def message(said):
        await heard.put((said.topic, str(said.event), said.payload))

    async with PHXChannelsClient(
        URL, "key", protocol_version=version, heartbeat_interval_s=0.1, on_heartbeat_ack=beats.set
    ) as client:
        await client.subscribe_to_topic("rooms:python", message)
        assert client.is_topic_joined("rooms:python")
        await asyncio.wait_for(beats.wait(), PATIENCE)
        refusals = [("rooms:forbidden", "unauthorized")]
        # In V2 this client ignores what names no join: a broadcast names none, nor
        # does, here as with Phoenix, the reply that no rule knows a topic.
        if version == PhoenixChannelsProtocolVersion.V1:
            refusals.append(("nowhere:1", "unmatched topic"))
        for topic, reason in refusals:
            try:
                await client.subscribe_to_topic(topic, message)
                raise AssertionError(f"{topic} was joined")
            except PHXTopicError as refused:
                assert reason in str(refused), refused

        speaker = await asyncio.to_thread(connect)
        channel = speaker.channel("rooms:python")
        await asyncio.to_thread(channel.join)
        for number in range(100):
            reply = channel.push("said", {"number": number}, reply=True)
        await asyncio.to_thread(reply.wait_for_response)
        if version == PhoenixChannelsProtocolVersion.V1:
            for number in range(100):
                said = await asyncio.wait_for(heard.get(), PATIENCE)
                assert said == ("rooms:python", "said", {"number": number}), said

        # A message to this session alone names its join.
        await client.subscribe_to_topic("rooms:present", message)
        topic, event, state = await asyncio.wait_for(heard.get(), PATIENCE)
        assert (topic, event) == ("rooms:present", "presence_state"), (topic, event)
        assert [len(person["metas"]) for person in state.values()] == [1], state
        await client.unsubscribe_from_topic("rooms:present")
        while not heard.empty():
            heard.get_nowait()

        await client.unsubscribe_from_topic("rooms:python")
        reply = channel.push("said", {"number": -1}, reply=True)
        await asyncio.to_thread(reply.wait_for_response)
        assert heard.empty()
        await asyncio.to_thread(speaker.close)


# Refused joins are meant.
logging.disable()
phxsocket_talks_to_itself()
print("works: phxsocket")
for version in PhoenixChannelsProtocolVersion:
    asyncio.run(the_other_client_listens(version))
    print("works: phoenix-channels-python-client", version)
