// Drives a server with the third-party npm package `ws`.
//
// Takes the server's address as its one argument, prints what it has seen work,
// and ends with a non-zero status at the first thing that does not.

'use strict'

const assert = require('node:assert')
const { once } = require('node:events')
const WebSocket = require('ws')

const base = `ws://${process.argv[2]}`

/** An open socket that keeps what it hears until somebody asks for it. */
async function connect (path, options) {
  const socket = new WebSocket(base + path, options)
  const heard = []
  const waiting = []
  socket.on('message', (data, isBinary) => {
    const message = isBinary ? data : data.toString()
    if (waiting.length > 0) waiting.shift()(message)
    else heard.push(message)
  })
  socket.read = () => heard.length > 0
    ? Promise.resolve(heard.shift())
    : new Promise(resolve => waiting.push(resolve))
  await once(socket, 'open')
  return socket
}

async function echo () {
  const socket = await connect('/echo')
  for (const message of ['hello', '', 'Grüße 🎉', 'x'.repeat(70000)]) {
    socket.send(message)
    assert.strictEqual(await socket.read(), message)
  }
  const bytes = Buffer.alloc(5_000_000, 7)
  socket.send(bytes)
  assert.ok((await socket.read()).equals(bytes))
  socket.send('in ', { fin: false })
  socket.ping('between')
  socket.send('pieces', { fin: true })
  const [pong] = await once(socket, 'pong')
  assert.strictEqual(pong.toString(), 'between')
  assert.strictEqual(await socket.read(), 'in pieces')
  for (let number = 0; number < 1000; number++) socket.send(String(number))
  for (let number = 0; number < 1000; number++) {
    assert.strictEqual(await socket.read(), String(number))
  }
  socket.close(3001, 'done')
  const [code] = await once(socket, 'close')
  assert.strictEqual(code, 3001)
}

async function subprotocols () {
  // Without an answer to its offer, ws ends the session.
  const socket = new WebSocket(base + '/echo', ['v2.example', 'v1'])
  await once(socket, 'open')
  assert.strictEqual(socket.protocol, 'v2.example')
  socket.close()
}

async function broadcast () {
  const sockets = []
  for (let number = 0; number < 20; number++) sockets.push(await connect('/broadcast'))
  sockets.forEach((socket, number) => socket.send(`from ${number}`))
  const expected = sockets.map((_, number) => `from ${number}`).sort()
  for (const socket of sockets) {
    const heard = []
    while (heard.length < sockets.length) heard.push(await socket.read())
    assert.deepStrictEqual(heard.sort(), expected)
  }
  for (const socket of sockets) socket.close()
  await Promise.all(sockets.map(socket => once(socket, 'close')))
}

async function compressionIsDeclined () {
  const socket = await connect('/echo', { perMessageDeflate: true })
  assert.strictEqual(socket.extensions, '')
  socket.send('z'.repeat(10000))
  assert.strictEqual(await socket.read(), 'z'.repeat(10000))
  socket.terminate()
}

async function refusals () {
  const socket = new WebSocket(base + '/nowhere')
  const [error] = await once(socket, 'error')
  assert.match(error.message, /404/)
}

async function main () {
  console.log('ws', require('ws/package.json').version)
  for (const test of [echo, subprotocols, broadcast, compressionIsDeclined, refusals]) {
    await test()
    console.log('works:', test.name)
  }
}

setTimeout(() => {
  console.error('took too long')
  process.exit(1)
}, 60_000).unref()
main().then(() => process.exit(0), error => {
  console.error(error)
  process.exit(1)
})
