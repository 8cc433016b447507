// The steps that each Phoenix client takes and checks; see phoenix.mjs. Each step takes
// the stage: the client version, its serializer, and two sockets on two shards.

import { strict as assert } from 'node:assert'
import { createHmac } from 'node:crypto'
import { join, reply, until, within } from './phoenix_client.mjs'

const NO_BINARY = 'this version sends no binary messages'
const V1_IS_TEXT = 'V1 has no binary messages'

/** Two channels of one topic, whose sockets are on different shards. */
async function joinBoth ({ ada, bob }, topic) {
  const channels = [await join(ada, topic), await join(bob, topic)]
  for (const channel of channels) channel.heard('said')
  return channels
}

async function heartbeats ({ connect, disconnect }) {
  const socket = await connect({ heartbeatIntervalMs: 200 })
  let answered = 0
  socket.onMessage(({ topic, event, payload }) => {
    if (topic === 'phoenix' && event === 'phx_reply' && payload.status === 'ok') answered += 1
  })
  await until('heartbeats are answered', () => answered >= 3)
  disconnect(socket)
}

async function pushWithReply ({ ada }) {
  const channel = await join(ada, 'rooms:reply', { user: 'ada' })
  const pushes = [1, 2, 3].map(number => channel.push('count', { number }))
  for (const push of pushes) assert.deepEqual(await reply(push), { status: 'ok', response: {} })
}

async function broadcastAcrossShards (stage) {
  const [ada, bob] = await joinBoth(stage, 'rooms:both')
  const payloads = [
    { body: 'Grüße 🎉', list: [1, null, { deep: true }], empty: {} },
    { body: '"quoted" \\ \u0000 \u2028 </script>' },
    { body: 'x'.repeat(70_000) }
  ]
  for (const [from, to] of [[ada, bob], [bob, ada]]) {
    for (const payload of payloads) {
      const answer = reply(from.push('said', payload))
      assert.deepEqual(await to.next('said'), payload)
      assert.deepEqual(await from.next('said'), payload, 'the sender hears itself')
      assert.equal((await answer).status, 'ok')
    }
  }
  for (let number = 0; number < 200; number++) ada.push('said', { number })
  for (const channel of [bob, ada]) {
    for (let number = 0; number < 200; number++) {
      assert.deepEqual(await channel.next('said'), { number }, 'in the order sent')
    }
  }
}

async function senderIsSpared (stage) {
  const [ada, bob] = await joinBoth(stage, 'rooms:no-echo')
  assert.equal((await reply(ada.push('said', { number: 1 }))).status, 'ok')
  assert.deepEqual(await bob.next('said'), { number: 1 })
  bob.push('said', { number: 2 })
  assert.deepEqual(await ada.next('said'), { number: 2 }, 'and nothing of its own before')
}

async function listenersOnly (stage) {
  const [ada, bob] = await joinBoth(stage, 'rooms:read-only')
  assert.equal((await reply(ada.push('said', {}))).status, 'error')
  assert.deepEqual(bob.heard('said'), [])
}

async function binary (stage) {
  if (!stage.client.sendsBinary) return NO_BINARY
  if (stage.vsn === '1.0.0') return V1_IS_TEXT
  const [ada, bob] = await joinBoth(stage, 'rooms:bytes')
  for (const length of [0, 1, 256, 100_000]) {
    const bytes = Uint8Array.from({ length }, (_, at) => at % 251)
    const answer = reply(ada.push('said', bytes.buffer))
    for (const channel of [ada, bob]) {
      const heard = await channel.next('said')
      assert.ok(heard instanceof ArrayBuffer, 'bytes stay bytes')
      assert.deepEqual(new Uint8Array(heard), bytes)
    }
    assert.equal((await answer).status, 'ok')
  }
}

async function twoVersionsTalk (stage) {
  const { newest, ada } = stage
  const channel = await join(ada, 'rooms:versions')
  channel.heard('said')
  const other = await newest.connect()
  const theirs = await join(other, 'rooms:versions')
  theirs.heard('said')
  channel.push('said', { from: 'this version' })
  assert.deepEqual(await theirs.next('said'), { from: 'this version' })
  await channel.next('said')
  theirs.push('said', { from: 'the newest' })
  assert.deepEqual(await channel.next('said'), { from: 'the newest' })
  newest.disconnect(other)
}

async function leave (stage) {
  const [ada, bob] = await joinBoth(stage, 'rooms:left')
  const closed = new Promise(resolve => bob.onClose(resolve))
  assert.equal((await reply(bob.leave())).status, 'ok')
  await within(closed, 'the channel closes')
  const answer = reply(ada.push('said', { after: 'leaving' }))
  await ada.next('said')
  await answer
  assert.deepEqual(bob.heard('said'), [], 'who has left hears nothing')
  assert.ok(!bob.socket.channels.includes(bob))
}

async function leaveAndJoinAgain (stage) {
  const channel = await join(stage.bob, 'rooms:again')
  const closed = serverCloses(stage.bob, 'rooms:again')
  await reply(channel.leave())
  // In V1 a close does not say which join it ends.
  await closed
  const again = await join(stage.bob, 'rooms:again')
  again.push('said', { number: 1 })
  assert.deepEqual(await again.next('said'), { number: 1 })
}

function serverCloses (socket, topic) {
  const closed = new Promise(resolve => socket.onMessage(message => {
    if (message.topic === topic && message.event === 'phx_close') resolve()
  }))
  return within(closed, `phx_close of ${topic}`)
}

async function joinTwice ({ client, vsn, ada }) {
  if (vsn === '1.0.0' || !client.tellsJoinsApart) {
    return 'V1 does not tell the joins of a topic apart'
  }
  const first = await join(ada, 'rooms:twice')
  const closed = new Promise(resolve => first.onClose(resolve))
  const second = await join(ada, 'rooms:twice')
  await within(closed, 'the first channel closes')
  second.push('said', { number: 1 })
  assert.deepEqual(await second.next('said'), { number: 1 })
  assert.equal(second.joins, 1)
}

async function joinError ({ ada }) {
  const channel = ada.channel('rooms:forbidden', {})
  const answer = await reply(channel.join())
  assert.deepEqual(answer, { status: 'error', response: { reason: 'unauthorized' } })
  await reply(channel.leave())
}

async function unmatchedTopic ({ ada }) {
  const channel = ada.channel('nowhere:1', {})
  const answer = await reply(channel.join())
  assert.deepEqual(answer, { status: 'error', response: { reason: 'unmatched topic' } })
  await reply(channel.leave())

  const ref = ada.makeRef()
  const answered = new Promise(resolve => ada.onMessage(message => {
    if (message.ref === ref) resolve(message)
  }))
  ada.push({ topic: 'rooms:not-joined', event: 'said', payload: {}, ref, join_ref: null })
  const { topic, event, payload } = await within(answered, 'a reply without a channel')
  assert.deepEqual([topic, event, payload], ['rooms:not-joined', 'phx_reply',
    { status: 'error', response: { reason: 'unmatched topic' } }])
}

async function tooManyTopics ({ connect, disconnect }) {
  const socket = await connect()
  const answers = []
  for (let number = 0; number < 101; number++) {
    answers.push(reply(socket.channel(`rooms:${number}`, {}).join()))
  }
  const statuses = (await Promise.all(answers)).map(({ status }) => status)
  assert.deepEqual(statuses, [...Array(100).fill('ok'), 'error'])
  disconnect(socket)
}

/** Joins, and tells who is there as the client's own `Presence` sees it. */
async function present (client, socket, name) {
  let metas
  const channel = await join(socket, 'rooms:present', { user_id: name, meta: { name } }, channel => {
    if (typeof client.Presence === 'function') {
      const presence = new client.Presence(channel)
      metas = () => presence.list((key, { metas }) => metas).flat()
      return
    }
    // Before 1.4 an application kept the state itself.
    let state = {}
    channel.on('presence_state', now => { state = client.Presence.syncState(state, now) })
    channel.on('presence_diff', diff => { state = client.Presence.syncDiff(state, diff) })
    metas = () => client.Presence.list(state, (key, { metas }) => metas).flat()
  })
  // Before 1.4 a client's own presence may be in the list twice, with one reference.
  const names = () => [...new Map(metas().map(meta => [meta.phx_ref, meta.name])).values()].sort()
  const sees = (...expected) => until(`${name} sees ${expected} and not ${names()}`, () =>
    JSON.stringify(names()) === JSON.stringify(expected))
  return { channel, sees }
}

async function presence ({ client, ada, bob, connect, disconnect }) {
  const first = await present(client, ada, 'ada')
  await first.sees('ada')
  const second = await present(client, bob, 'bob')
  await Promise.all([first.sees('ada', 'bob'), second.sees('ada', 'bob')])

  const socket = await connect()
  await present(client, socket, 'cleo')
  await Promise.all([first.sees('ada', 'bob', 'cleo'), second.sees('ada', 'bob', 'cleo')])
  // With the same name once more, in another window so to say.
  const window = await connect()
  await present(client, window, 'cleo')
  await second.sees('ada', 'bob', 'cleo', 'cleo')

  disconnect(socket)
  await Promise.all([first.sees('ada', 'bob', 'cleo'), second.sees('ada', 'bob', 'cleo')])
  window.conn.terminate()
  disconnect(window)
  await Promise.all([first.sees('ada', 'bob'), second.sees('ada', 'bob')])
  await reply(second.channel.leave())
  await first.sees('ada')
}

/** A signed token for some topics; see phoenix.toml for the secret. */
function token (topics, seconds = 60) {
  const now = Math.floor(Date.now() / 1000)
  const [head, claims] = [{ alg: 'HS256', typ: 'JWT' }, { sub: 'ada', topics, exp: now + seconds }]
    .map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
  const key = 'known to the clients, as this is a test'
  const signature = createHmac('sha256', key).update(`${head}.${claims}`).digest('base64url')
  return `${head}.${claims}.${signature}`
}

async function tokenInJoin ({ ada }) {
  const good = token(['rooms:token*'])
  const bad = [{}, { token: token(['rooms:other']) }, { token: token(['rooms:token*'], -60) },
    { token: good.replace(/.....$/, 'AAAAA') }]
  for (const payload of bad) {
    const channel = ada.channel('rooms:token', payload)
    const answer = await reply(channel.join())
    assert.deepEqual(answer, { status: 'error', response: { reason: 'unauthorized' } })
    await reply(channel.leave())
  }
  const channel = await join(ada, 'rooms:token', { token: good })
  channel.push('said', { number: 1 })
  assert.deepEqual(await channel.next('said'), { number: 1 })
}

async function tokenInParams ({ connect, disconnect }) {
  const socket = await connect({ params: { token: token(['rooms:token*']) } })
  const channel = await join(socket, 'rooms:token')
  assert.equal((await reply(channel.push('said', {}))).status, 'ok')
  disconnect(socket)
}

async function authToken ({ client, connect, disconnect }) {
  if (!client.offersAuthToken) return 'this version has no authToken'
  const socket = await connect({ authToken: token(['rooms:token*']) })
  assert.equal(socket.conn.protocol, 'phoenix')
  const channel = await join(socket, 'rooms:token')
  assert.equal((await reply(channel.push('said', {}))).status, 'ok')
  disconnect(socket)
}

export const steps = [
  heartbeats, pushWithReply, broadcastAcrossShards, senderIsSpared, listenersOnly, binary,
  twoVersionsTalk, leave, leaveAndJoinAgain, joinTwice, joinError, unmatchedTopic, tooManyTopics,
  presence, tokenInJoin, tokenInParams, authToken
]
