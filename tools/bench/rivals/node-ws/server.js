// The rival ws on Node.js: two WebSocket servers that share one HTTP server.
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";

const { values } = parseArgs({ options: { listen: { type: "string" } } });
const [host, port] = values.listen.split(":");

const options = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: 1024 * 1024,
};

// Errors are those of one connection, which is closed after them anyway.
const ignore = () => {};

// The library writes every message by itself. Corked sockets let all messages
// that one turn of the event loop has for a connection leave together.
const corked = new Set();
function cork(socket) {
  if (corked.has(socket)) return;
  if (corked.size === 0) process.nextTick(uncorkAll);
  corked.add(socket);
  socket.cork();
}
function uncorkAll() {
  for (const socket of corked) socket.uncork();
  corked.clear();
}

const echo = new WebSocketServer(options);
echo.on("connection", (ws, socket) => {
  ws.on("error", ignore);
  ws.on("message", (data, isBinary) => {
    cork(socket);
    ws.send(data, { binary: isBinary });
  });
});

const broadcast = new WebSocketServer(options);
const subscribers = new Map();
broadcast.on("connection", (ws, socket) => {
  subscribers.set(ws, socket);
  ws.on("error", ignore);
  ws.on("close", () => subscribers.delete(ws));
  ws.on("message", (data, isBinary) => {
    for (const [ws, socket] of subscribers) {
      cork(socket);
      ws.send(data, { binary: isBinary });
    }
  });
});

const servers = { "/echo": echo, "/broadcast": broadcast };
const server = createServer((request, response) => response.writeHead(404).end("no such path\n"));
server.on("upgrade", (request, socket, head) => {
  const wss = servers[request.url];
  if (wss) return wss.handleUpgrade(request, socket, head, (ws) => wss.emit("connection", ws, socket));
  socket.on("error", ignore);
  socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
});
server.listen({ host, port: Number(port), backlog: 4096 });
