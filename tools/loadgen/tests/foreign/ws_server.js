// A server on the npm package `ws`, by other authors.
//
// On /echo each gets back what it sends, on /broadcast all get every message.
// Prints its port, and ends when its standard input does.

const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
const everybody = new Set();

server.on("connection", (socket, request) => {
  const echoes = request.url === "/echo";
  if (!echoes) everybody.add(socket);
  socket.on("close", () => everybody.delete(socket));
  socket.on("error", () => {});
  socket.on("message", (data, binary) => {
    for (const other of echoes ? [socket] : everybody) other.send(data, { binary });
  });
});
server.on("listening", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
