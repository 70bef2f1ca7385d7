// aedes.js - the MQTT server aedes over `ws`, as its documentation's example "WebSocket server" does it.
'use strict';
const http = require('http');
const { Aedes } = require('aedes');
const { WebSocketServer, createWebSocketStream } = require('ws');
const { listen } = require('./publish');

Aedes.createBroker().then(broker => {
  const server = http.createServer();
  const sockets = new WebSocketServer({ server, perMessageDeflate: false, handleProtocols: () => 'mqtt' });
  sockets.on('connection', (socket, request) => broker.handle(createWebSocketStream(socket), request));
  listen(server);
});
