// Serves the page beside this file and the phoenix.js it uses, and nothing else.
//
// node examples/phoenix-chat/serve.mjs [PORT [NODE_MODULES]]

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'

const [port = '8000', modules = beside('../../target/test-clients/node_modules')] = process.argv.slice(2)

const files = {
  '/': { path: beside('index.html'), type: 'text/html; charset=utf-8' },
  '/phoenix.mjs': { path: `${modules}/phoenix/priv/static/phoenix.mjs`, type: 'text/javascript' }
}

function beside (path) {
  return fileURLToPath(new URL(path, import.meta.url))
}

const server = createServer(async (request, response) => {
  const file = files[request.url.split('?')[0]]
  if (!file) return response.writeHead(404).end('not here\n')
  try {
    const content = await readFile(file.path)
    response.writeHead(200, { 'Content-Type': file.type, 'Cache-Control': 'no-cache' }).end(content)
  } catch (error) {
    response.writeHead(500).end(`${error.message}; run: make test-clients\n`)
  }
})
server.listen(Number(port), '127.0.0.1', () => {
  console.log(`page on http://127.0.0.1:${server.address().port}/`)
})
