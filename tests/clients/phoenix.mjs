// Drives a server with one version of the third-party npm package `phoenix`; see
// phoenix_js.rs, which runs it.
//
// Arguments: directory of node_modules, name of the package, version of the
// serializer, the server's address, the address of its control plane. Prints
// `works: STEP` or `without: STEP: WHY`, and ends with a non-zero status at the
// first thing that does not work. Prints `ask: WHAT` where something must be
// done to the server, and goes on at the next line of standard input.

import { createInterface } from 'node:readline'
import { factory, load, until } from './phoenix_client.mjs'
import { outages, silentClient } from './phoenix_outages.mjs'
import { steps } from './phoenix_steps.mjs'

const [modules, name, vsn, address, admin] = process.argv.slice(2)
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

async function ask (what) {
  console.log(`ask: ${what}`)
  await answers.next()
}

async function sessionsPerShard () {
  const stats = await (await fetch(`http://${admin}/stats`)).json()
  return stats.shards.map(shard => shard.sessions)
}

/** Connects, and tells on which shard that showed. */
async function connectOnShard (connect) {
  const before = await sessionsPerShard()
  const socket = await connect()
  let shard
  await until('/stats shows the session', async () => {
    const after = await sessionsPerShard()
    shard = after.findIndex((sessions, at) => sessions === before[at] + 1)
    return shard >= 0
  })
  return { socket, shard }
}

/** Two sockets that the kernel has given to different shards. */
async function connectOnTwoShards ({ connect, disconnect }) {
  const ada = await connectOnShard(connect)
  for (let tries = 0; tries < 60; tries++) {
    const bob = await connectOnShard(connect)
    if (bob.shard !== ada.shard) return { ada: ada.socket, bob: bob.socket }
    disconnect(bob.socket)
    await until('the session has ended', async () =>
      (await sessionsPerShard()).reduce((sum, sessions) => sum + sessions) === 1)
  }
  throw new Error('one shard gets all connections')
}

async function run (step, stage) {
  const why = await step(stage).catch(error => {
    error.message = `${step.name}: ${error.message}`
    throw error
  })
  console.log(why ? `without: ${step.name}: ${why}` : `works: ${step.name}`)
}

async function main () {
  const client = load(modules, name)
  console.log(`client: ${client.version}`)
  const sockets = factory(client, vsn, address)
  const stage = {
    client,
    vsn,
    ask,
    ...sockets,
    newest: factory(load(modules, 'phoenix'), '2.0.0', address),
    ...await connectOnTwoShards(sockets)
  }
  console.log('works: connect')
  // This takes as long as the server waits.
  const silence = run(silentClient, stage)
  for (const step of steps) await run(step, stage)
  await silence
  for (const step of outages) await run(step, stage)
  sockets.disconnectAll()
}

setTimeout(() => {
  console.error('took too long')
  process.exit(1)
}, 120_000).unref()
main().then(() => process.exit(0), error => {
  console.error(error)
  process.exit(1)
})
