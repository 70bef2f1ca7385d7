// publish.js - what the Node.js peers share: an HTTP server that takes POST /publish?channel=<c>, and says its port when it
// is ready. `deliver(channel, body)` is given the body as a Buffer.
'use strict';
const http = require('http');

exports.serve = function (deliver) {
  return http.createServer((request, response) => {
    const chunks = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => {
      deliver(new URL(request.url, 'http://peer').searchParams.get('channel'), Buffer.concat(chunks));
      response.writeHead(204);
      response.end();
    });
  });
};

exports.listen = function (server) {
  server.keepAliveTimeout = 600000;
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
    process.stdout.write(`ready ${server.address().port}\n`);
  });
  process.on('SIGTERM', () => process.exit(0));
};
