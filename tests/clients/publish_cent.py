"""Publishes with `cent`, Centrifugo's client of its server API for Python, which nobody
here wrote.

Takes the API's address, a key, and a channel with one subscriber; ends with a non-zero
status at the first thing that does not work.
"""

import asyncio
import sys

import cent

ADDRESS, KEY, CHANNEL = sys.argv[1:]
URL = f"http://{ADDRESS}/api"


def refused(code, call):
    try:
        call()
    except cent.CentApiResponseError as error:
        assert error.code == code, error
    else:
        raise AssertionError(f"not refused with {code}")


def synchronous():
    client = cent.Client(URL, KEY)
    client.publish(cent.PublishRequest(channel=CHANNEL, data={"by": "publish"}))
    once = cent.PublishRequest(channel=CHANNEL, data={"by": "retry"}, idempotency_key="1")
    client.publish(once)
    client.publish(once)
    tags = {"event": "greeting", "lang": "en"}
    client.publish(cent.PublishRequest(channel=CHANNEL, data={"by": "tags"}, tags=tags))
    channels = [CHANNEL, "elsewhere"]
    result = client.broadcast(cent.BroadcastRequest(channels=channels, data={"by": "broadcast"}))
    assert len(result.responses) == 2, result
    assert all(response.error is None for response in result.responses), result

    requests = [
        cent.PublishRequest(channel=CHANNEL, data={"by": "batch"}),
        cent.PresenceStatsRequest(channel=CHANNEL),
        cent.InfoRequest(),
    ]
    replies = client.batch(cent.BatchRequest(requests=requests)).replies
    assert replies[1].num_clients == 1, replies
    assert replies[2].nodes[0].name == "corecast", replies

    stats = client.presence_stats(cent.PresenceStatsRequest(channel=CHANNEL))
    assert stats.num_clients == 1, stats
    listed = client.channels(cent.ChannelsRequest(pattern=CHANNEL[:3] + "*")).channels
    assert listed[CHANNEL].num_clients == 1, listed
    assert client.info(cent.InfoRequest()).nodes[0].uptime >= 0

    refused(107, lambda: client.publish(cent.PublishRequest(channel="", data={})))
    refused(104, lambda: client.history(cent.HistoryRequest(channel=CHANNEL)))
    try:
        cent.Client(URL, "wrong").info(cent.InfoRequest())
    except cent.CentUnauthorizedError:
        pass
    else:
        raise AssertionError("a wrong key was taken")


async def asynchronous():
    client = cent.AsyncClient(URL, KEY)
    await client.publish(cent.PublishRequest(channel=CHANNEL, data={"by": "async"}))
    await client.close()


synchronous()
asyncio.run(asynchronous())
print("all of it works")
