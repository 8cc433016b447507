// One of the versions of the npm package `phoenix`, in Node over the package `ws`, with
// promises instead of callbacks. The limits of each version are handled here.

import { createRequire } from 'node:module'

/** How long anything may take, on a busy machine too. */
const PATIENCE = 20_000

/** On a busy machine answers are late, and a client gives up at its next beat. */
export const NEVER = 3_600_000

/** How often a socket shows instead that it is there. */
const SIGN_OF_LIFE = 500

/** The package, and what this version of it can do. */
export function load (modules, name) {
  const require = createRequire(`${modules}/`)
  // Not every version lets its package.json be required by name.
  const { version } = require(`${modules}/${name}/package.json`)
  const [, minor] = version.split('.').map(Number)
  return {
    ...require(name),
    WebSocket: require('ws'),
    version,
    // Up to 1.2 there is one serializer, the first; in 1.3 one, the second.
    serializers: minor < 3 ? ['1.0.0'] : minor < 4 ? ['2.0.0'] : ['1.0.0', '2.0.0'],
    sendsBinary: minor >= 5,
    noticesSilence: minor >= 3,
    // Before 1.4 a join that was not answered after this time was sent again.
    reconnectAfter: minor < 4 ? 1000 : 100,
    offersAuthToken: minor >= 8,
    // Before, two channels of one topic got each other's messages.
    tellsJoinsApart: minor >= 3
  }
}

/** Rejects instead of waiting for ever. */
export function within (promise, what) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain: ${what}`)), PATIENCE)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

export function sleep (milliseconds) {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

/** Asks again and again until the answer is yes. */
export async function until (what, isSo) {
  const end = Date.now() + PATIENCE
  while (!await isSo()) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`)
    await sleep(10)
  }
}

/** The two serializers of a client that lets one choose. */
function serializer (vsn) {
  if (vsn === '2.0.0') return {}
  return {
    vsn,
    encode: (message, callback) => callback(JSON.stringify(message)),
    decode: (text, callback) => callback(JSON.parse(text))
  }
}

/** Makes sockets of one client version and one serializer. */
export function factory (client, vsn, address) {
  const sockets = new Set()

  /** An open socket, with its log as `socket.said`. */
  async function connect (options = {}) {
    const said = []
    const socket = new client.Socket(`ws://${address}/socket`, {
      transport: client.WebSocket,
      heartbeatIntervalMs: NEVER,
      timeout: PATIENCE,
      reconnectAfterMs: () => client.reconnectAfter,
      rejoinAfterMs: () => 100,
      logger: (kind, message) => said.push(`${kind}: ${message}`),
      ...(client.serializers.length > 1 ? serializer(vsn) : {}),
      ...options
    })
    socket.said = said
    sockets.add(socket)
    const open = new Promise(resolve => socket.onOpen(resolve))
    socket.connect()
    await within(open, 'the socket opens')
    return socket
  }

  let [beat, longestPause] = [Date.now(), 0]
  const beating = setInterval(() => {
    longestPause = Math.max(longestPause, Date.now() - beat)
    beat = Date.now()
    for (const socket of sockets) {
      if (socket.isSilent || !socket.isConnected()) continue
      socket.push({ topic: 'phoenix', event: 'heartbeat', payload: {}, ref: socket.makeRef() })
    }
  }, SIGN_OF_LIFE)
  beating.unref()

  function disconnect (socket) {
    sockets.delete(socket)
    socket.disconnect()
  }

  return {
    connect,
    disconnect,
    disconnectAll: () => [...sockets].forEach(disconnect),
    // Longer where the machine has not let this script run.
    longestPause: () => Math.max(longestPause, Date.now() - beat)
  }
}

/** The answer of the server to a push: its status and its response. */
export function reply (push) {
  const answered = new Promise(resolve => {
    for (const status of ['ok', 'error', 'timeout']) {
      push.receive(status, response => resolve({ status, response }))
    }
  })
  return within(answered, `a reply to ${push.event}`)
}

/**
 * A joined channel that keeps what it hears: `channel.next(event)`. What is done
 * `first` is done before the server can say anything.
 */
export async function join (socket, topic, payload = {}, first = () => {}) {
  const channel = socket.channel(topic, payload)
  first(channel)
  channel.joins = 0
  const joining = channel.join().receive('ok', () => { channel.joins += 1 })
  const answer = await reply(joining)
  if (answer.status !== 'ok') {
    throw new Error(`${topic} cannot be joined: ${JSON.stringify(answer)}`)
  }
  const heard = new Map()
  channel.heard = event => {
    if (!heard.has(event)) {
      heard.set(event, [])
      channel.on(event, payload => heard.get(event).push(payload))
    }
    return heard.get(event)
  }
  channel.next = async event => {
    await until(`${topic} hears ${event}`, () => channel.heard(event).length > 0)
    return channel.heard(event).shift()
  }
  return channel
}
