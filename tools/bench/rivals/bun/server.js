// The rival Bun: its own server, with its native publish and subscribe.
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { listen: { type: "string" } } });
const [hostname, port] = values.listen.split(":");

const server = Bun.serve({
  hostname,
  port: Number(port),

  fetch(request, server) {
    const { pathname } = new URL(request.url);
    if (pathname !== "/echo" && pathname !== "/broadcast") {
      return new Response("no such path\n", { status: 404 });
    }
    if (!server.upgrade(request, { data: { broadcast: pathname === "/broadcast" } })) {
      return new Response("a WebSocket handshake is needed\n", { status: 426 });
    }
  },

  websocket: {
    perMessageDeflate: false,
    maxPayloadLength: 1024 * 1024,
    idleTimeout: 0,
    sendPings: false,

    open(ws) {
      if (ws.data.broadcast) ws.subscribe("all");
    },
    // A text message comes as a string and a binary one as a buffer, and each
    // leaves as what it came.
    message(ws, message) {
      if (ws.data.broadcast) server.publish("all", message);
      else ws.send(message);
    },
  },
});
