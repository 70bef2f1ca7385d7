// ws.js - `ws` as its README's "Server broadcast" does it, with a Set of clients for each channel. No compression
// (its default); bufferutil is installed ("Opt-in for performance").
'use strict';
const { WebSocketServer, WebSocket } = require('ws');
const { serve, listen } = require('./publish');

const channels = new Map();

const server = serve((channel, body) => {
  for (const client of channels.get(channel) ?? []) {
    if (client.readyState === WebSocket.OPEN) {
      client.send(body, { binary: false });
    }
  }
});

const sockets = new WebSocketServer({ server, path: '/ws', perMessageDeflate: false });
sockets.on('connection', (client, request) => {
  const channel = new URL(request.url, 'http://peer').searchParams.get('channel');
  if (!channels.has(channel)) {
    channels.set(channel, new Set());
  }
  channels.get(channel).add(client);
  client.on('error', console.error);
  client.on('close', () => channels.get(channel).delete(client));
});

listen(server);
