// socketio.js - Socket.IO with its rooms; socket.io/docs/v4, "Performance tuning" (bufferutil) and "Memory usage"
// (the first HTTP request of each client is let go). WebSocket only, no compression (its default). The suggested engine
// eiows is left out: it needs a compiler to install.
'use strict';
const { Server } = require('socket.io');
const { serve, listen } = require('./publish');

const server = serve((channel, body) => io.to(channel).emit('event', JSON.parse(body)));

const io = new Server(server, { transports: ['websocket'], perMessageDeflate: false, serveClient: false });
io.engine.on('connection', socket => { socket.request = null; });
io.on('connection', socket => {
  socket.on('join', (channel, done) => {
    socket.join(channel);
    done();
  });
});

listen(server);
