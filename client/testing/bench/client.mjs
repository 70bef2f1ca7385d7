import { WebSocket } from "ws";

/** A client, once it has its channels. */
export function client(url, channels) {
  const socket = new WebSocket(url, "carillon.v1");
  let missing = channels.length;
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () => channels.forEach((channel, id) => socket.send(JSON.stringify({ type: "subscribe", id, data: { channel } }))));
    socket.on("message", (text) => JSON.parse(text).type === "subscribed" && --missing === 0 && resolve(socket));
  });
}
