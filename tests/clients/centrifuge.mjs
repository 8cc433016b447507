// Drives a server with the third-party npm package `centrifuge`; see js.rs in
// tests/centrifuge, which runs it.
//
// Arguments: directory of node_modules, `json` or `protobuf`, the server's address. Prints
// `works: STEP`, and ends with a non-zero status at the first thing that does not work.
// Prints `ask: WHAT` where something must be done to the server, and goes on at the next
// line of standard input.

import { strict as assert } from 'node:assert'
import { createHmac } from 'node:crypto'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { sleep, until, within } from './phoenix_client.mjs'

const [modules, encoding, address] = process.argv.slice(2)
const require = createRequire(`${modules}/`)
const { Centrifuge } = require(encoding === 'json' ? 'centrifuge' : 'centrifuge/build/protobuf')
const { Socket } = require('phoenix')
const websocket = require('ws')
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

async function ask (what) {
  console.log(`ask: ${what}`)
  await answers.next()
}

/** A token signed with the secret of centrifuge.toml. */
function token (claims) {
  const part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + 600
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ exp, ...claims })}`
  const secret = 'known to the clients, as this is a test'
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`
}

const inSeconds = seconds => Math.floor(Date.now() / 1000) + seconds

/** What is published: with Protobuf any bytes, with JSON any value. */
const pack = value => encoding === 'json' ? value : Buffer.from(JSON.stringify(value))
const unpack = data => encoding === 'json' ? data : JSON.parse(Buffer.from(data).toString())

/** The next event of an emitter that fits. */
function next (emitter, event, fits = () => true) {
  const heard = new Promise(resolve => {
    const listen = context => {
      if (!fits(context)) return
      emitter.off(event, listen)
      resolve(context)
    }
    emitter.on(event, listen)
  })
  return within(heard, event)
}

const clients = []

/** A client that is connected. */
async function connect (options) {
  const client = new Centrifuge(`ws://${address}/connection/websocket`, {
    websocket, minReconnectDelay: 50, maxReconnectDelay: 200, ...options
  })
  client.codes = []
  client.on('connecting', ({ code, reason }) => client.codes.push(`${code} ${reason}`))
  client.on('disconnected', ({ code, reason }) => client.codes.push(`${code} ${reason}`))
  clients.push(client)
  client.connect()
  await within(client.ready(), 'the client connects')
  return client
}

/** A subscription that keeps what it hears. */
async function subscribe (client, channel, options) {
  const subscription = client.newSubscription(channel, { minResubscribeDelay: 50, ...options })
  subscription.heard = []
  subscription.on('publication', context => subscription.heard.push(context))
  subscription.subscribe()
  await within(subscription.ready(), `${channel} is subscribed`)
  return subscription
}

const steps = {
  /** What one says all hear, with who said it, each topic for itself. */
  async 'two topics' ({ ada, bob }) {
    const topics = ['news:a', 'news:b']
    const [ofAda, ofBob] = await Promise.all([ada, bob].map(client =>
      Promise.all(topics.map(topic => subscribe(client, topic)))))
    await ofAda[0].publish(pack({ text: 'a\n"b" é' }))
    await bob.publish('news:b', pack([1, null, 'x']))
    await until('all have heard', () => [...ofAda, ...ofBob].every(it => it.heard.length === 1))
    for (const [a, b] of [ofAda, ofBob]) {
      assert.deepEqual(unpack(a.heard[0].data), { text: 'a\n"b" é' })
      assert.equal(a.heard[0].info.user, 'ada')
      assert.deepEqual(unpack(b.heard[0].data), [1, null, 'x'])
      assert.equal(b.heard[0].info.user, 'bob')
    }
    ofBob[0].unsubscribe()
    await ofAda[0].publish(pack(2))
    await until('one has heard', () => ofAda[0].heard.length === 2)
    assert.equal(ofBob[0].heard.length, 1)
  },

  async 'presence, join and leave' ({ ada, bob }) {
    const ofAda = await subscribe(ada, 'room:p')
    const joined = next(ofAda, 'join', ({ info }) => info.user === 'bob')
    const ofBob = await subscribe(bob, 'room:p')
    const { info } = await joined
    const members = Object.values((await ofBob.presence()).clients)
    assert.deepEqual(members.map(it => it.user).sort(), ['ada', 'bob'])
    assert.ok(members.some(it => it.client === info.client))
    const name = members.find(it => it.user === 'ada').connInfo
    assert.deepEqual(encoding === 'json' ? name : unpack(name), { name: 'Ada' })
    assert.deepEqual(await ofAda.presenceStats(), { numClients: 2, numUsers: 2 })
    const left = next(ofAda, 'leave', ({ info }) => info.user === 'bob')
    ofBob.unsubscribe()
    assert.equal((await left).info.client, info.client)
  },

  async 'errors have their codes' ({ ada }) {
    const code = async promise => await promise.then(() => 0, error => error.code)
    const subscription = await subscribe(ada, 'plain')
    assert.equal(await code(subscription.presence()), 108)
    assert.equal(await code(subscription.history({ limit: 1 })), 108)
    assert.equal(await code(ada.rpc('method', pack({}))), 104)
    assert.equal(await code(ada.publish('corecast:x', pack({}))), 103)
    const refused = ada.newSubscription('$secret')
    const unsubscribed = next(refused, 'unsubscribed')
    refused.subscribe()
    assert.equal((await unsubscribed).code, 103)
  },

  async 'a subscription with a token' ({ ada }) {
    let tokens = 0
    const getToken = async ({ channel }) =>
      token({ sub: 'ada', channel, exp: inSeconds(tokens++ ? 600 : 2), info: { seat: 7 } })
    const subscription = await subscribe(ada, '$private', { getToken })
    await until('the token is refreshed', () => tokens === 2)
    await subscription.publish(pack('mine'))
    await until('it is heard', () => subscription.heard.length === 1)
  },

  async 'subscriptions by the server' () {
    const channels = ['server:a', 'server:b']
    const client = await connect({ token: token({ sub: 'eve', channels, subs: { 'server:c': {} } }) })
    const heard = next(client, 'publication', ({ channel }) => channel === 'server:b')
    await client.publish('server:b', pack(1))
    assert.equal(unpack((await heard).data), 1)
    client.disconnect()
  },

  async 'a connection is refreshed' () {
    let tokens = 0
    const getToken = async () => token({ sub: 'zoe', exp: inSeconds(tokens++ ? 600 : 2) })
    const client = await connect({ getToken })
    await until('the token is refreshed', () => tokens === 2)
    await sleep(6500)
    assert.equal(client.state, 'connected')
    assert.deepEqual(client.codes, ['0 connect called'])
    client.disconnect()
  },

  async 'an old token is replaced and a forged one refused' () {
    const old = token({ sub: 'zoe', exp: inSeconds(-5) })
    const client = await connect({ token: old, getToken: async () => token({ sub: 'zoe' }) })
    client.disconnect()
    const forged = new Centrifuge(`ws://${address}/connection/websocket`, {
      websocket, token: `${old}x`
    })
    const disconnected = next(forged, 'disconnected')
    forged.connect()
    assert.equal((await disconnected).code, 3500)
  },

  async 'pings keep a silent client' ({ ada }) {
    const before = ada.codes.length
    await sleep(5000)
    assert.equal(ada.codes.length, before)
  },

  /** The same topic for a client of another protocol. */
  async 'phoenix.js in the same topic' ({ ada }) {
    const subscription = await subscribe(ada, 'shared')
    const socket = new Socket(`ws://${address}/socket`, { transport: websocket })
    socket.connect()
    const channel = socket.channel('shared')
    await within(new Promise(resolve => channel.join().receive('ok', resolve)), 'the join')
    const said = new Promise(resolve => channel.on('publication', resolve))
    await subscription.publish(pack({ from: 'ada' }))
    assert.deepEqual(await within(said, 'phoenix.js hears it'), { from: 'ada' })
    channel.push('said', { from: 'phoenix' })
    await until('centrifuge hears it', () => subscription.heard.length === 2)
    const { data, tags } = subscription.heard[1]
    assert.deepEqual(unpack(data), { from: 'phoenix' })
    assert.deepEqual({ ...tags }, { event: 'said' })
    socket.disconnect()
  },

  async 'a new server in its place' (stage) { await outage(stage, 'replace') },
  async 'a server that was killed' (stage) { await outage(stage, 'crash') }
}

/** Both come back by themselves, with their subscriptions, and talk. */
async function outage ({ ada, bob }, what) {
  const [ofAda, ofBob] = [await subscribe(ada, `room:${what}`), await subscribe(bob, `room:${what}`)]
  const again = [ofAda, ofBob].map(it => next(it, 'subscribed'))
  await ask(what)
  await Promise.all(again)
  await ofAda.publish(pack(what))
  await until('one hears the other', () => ofBob.heard.length > 0)
  assert.equal(unpack(ofBob.heard[0].data), what)
}

async function main () {
  const of = (sub, more) => ({ token: token({ sub, ...more }) })
  const stage = {
    ada: await connect(of('ada', { info: { name: 'Ada' } })),
    bob: await connect(of('bob'))
  }
  console.log('works: connect')
  for (const [name, step] of Object.entries(steps)) {
    await step(stage).catch(error => {
      error.message = `${name}: ${error.message}`
      throw error
    })
    console.log(`works: ${name}`)
  }
  clients.forEach(client => client.disconnect())
}

setTimeout(() => {
  console.error('took too long')
  process.exit(1)
}, 120_000).unref()
main().then(() => process.exit(0), error => {
  console.error(error)
  process.exit(1)
})
