// The behaviour of the Phoenix clients when one side falls silent or the server goes;
// see phoenix.mjs. This script does not stop the server itself: it asks for that with
// `ask`.

import { strict as assert } from 'node:assert'
import { join, reply, sleep, until } from './phoenix_client.mjs'

/** Two channels that go on talking over whatever happens in between. */
async function talk ([ada, bob], number) {
  const heard = bob.heard('said')
  // A message sent while one of them is not connected is never repeated.
  await until('one hears the other', async () => {
    assert.equal((await reply(ada.push('said', { number }))).status, 'ok')
    await sleep(50)
    return heard.some(payload => payload.number === number)
  })
}

/** Waits until both have joined once more, then lets them talk. */
async function rejoined (channels, joins, number) {
  await until('both have joined again', () =>
    channels.every((channel, at) => channel.joins > joins[at]))
  await talk(channels, number)
}

/** The close codes that a socket hears from now on. */
function closeCodes (socket) {
  const codes = []
  socket.onClose(event => codes.push(event.code))
  return codes
}

/**
 * A client that shows no sign of life is closed, one that beats is not. The
 * client connects again and joins.
 */
export async function silentClient ({ connect, disconnect, longestPause }) {
  const socket = await connect()
  socket.isSilent = true
  const beating = await connect()
  const channels = [await join(socket, 'rooms:silent'), await join(beating, 'rooms:silent')]
  const [codes, others] = [closeCodes(socket), closeCodes(beating)]
  const joins = channels.map(channel => channel.joins)
  await until('the silent client is closed', () => codes.length > 0)
  assert.notEqual(codes[0], 1006, 'with a close frame')
  await until('it joins again', () => channels[0].joins > joins[0])
  await talk(channels, 1)
  if (longestPause() < 5000) assert.deepEqual(others, [], 'who beats stays')
  disconnect(socket)
  disconnect(beating)
}

/** A server that does not answer heartbeats is given up and tried again. */
export async function silentServer ({ client, connect, disconnect, ask }) {
  if (!client.noticesSilence) return 'this version does not miss answers to its heartbeats'
  const sockets = [await connect({ heartbeatIntervalMs: 500 }), await connect({ heartbeatIntervalMs: 500 })]
  const channels = await Promise.all(sockets.map(socket => join(socket, 'rooms:asleep')))
  const joins = channels.map(channel => channel.joins)
  await ask('pause')
  await until('the heartbeats are missed', () => sockets.every(socket =>
    socket.said.some(line => line.includes('heartbeat timeout'))))
  await ask('resume')
  await rejoined(channels, joins, 2)
  sockets.forEach(disconnect)
}

/** A server that drains says 1012, which brings clients back. */
export async function restart ({ ada, bob, ask }) {
  const channels = [await join(ada, 'rooms:restarted'), await join(bob, 'rooms:restarted')]
  const joins = channels.map(channel => channel.joins)
  const codes = [closeCodes(ada), closeCodes(bob)]
  await ask('restart')
  await rejoined(channels, joins, 3)
  assert.deepEqual(codes.map(([first]) => first), [1012, 1012])
}

/** A server that is killed says nothing. */
export async function crash ({ ada, bob, ask }) {
  const channels = [await join(ada, 'rooms:crashed'), await join(bob, 'rooms:crashed')]
  const joins = channels.map(channel => channel.joins)
  await ask('crash')
  await rejoined(channels, joins, 4)
}

export const outages = [silentServer, restart, crash]
