// Publishes with the npm package `cent.js`, which nobody here wrote, and with `fetch`.
//
// Takes the folder of the packages, the API's address, a key, and a channel with one
// subscriber; ends with a non-zero status at the first thing that does not work.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'

const [modules, address, apiKey, channel] = process.argv.slice(2)
const { CentClient } = createRequire(`${modules}/`)('cent.js')

const client = new CentClient({ url: `http://${address}/api`, apiKey })
await client.publish({ channel, data: { by: 'publish' } })
const once = { channel, data: { by: 'retry' }, idempotency_key: '1' }
await client.publish(once)
await client.publish(once)
await client.publish({ channel, data: { by: 'tags' }, tags: { event: 'greeting' } })
const { responses } = await client.broadcast({ channels: [channel, 'elsewhere'], data: { by: 'broadcast' } })
assert.deepEqual(responses, [{ result: {} }, { result: {} }])
assert.equal((await client.getPresenceStats({ channel })).num_clients, 1)
assert.equal((await client.getChannels()).channels[channel].num_clients, 1)
assert.equal((await client.getInfo()).nodes[0].name, 'corecast')
await assert.rejects(client.getHistory({ channel }))
await assert.rejects(new CentClient({ url: `http://${address}/api`, apiKey: 'wrong' }).getInfo())

// The two lines that need no library.
const topic = `http://${address}/topics/${encodeURIComponent(channel)}`
const headers = { 'X-API-Key': apiKey, 'Content-Type': 'application/json' }
const published = await fetch(topic, { method: 'POST', headers, body: JSON.stringify({ by: 'batch' }) })
assert.equal(published.status, 202)
const counted = await fetch(topic, { headers })
assert.deepEqual(await counted.json(), { topic: channel, subscribers: 1 })
const last = await fetch(topic, { method: 'POST', headers, body: JSON.stringify({ by: 'async' }) })
assert.equal(last.status, 202)
console.log('all of it works')
