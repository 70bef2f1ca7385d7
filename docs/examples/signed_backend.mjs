// signed_backend.mjs - a backend behind Carillon, for Node 20 or later, without packages: it verifies each request and answers it.
// Run: UPSTREAM_SECRET=… node signed_backend.mjs 9000
import crypto from 'node:crypto'
import http from 'node:http'

const secret = process.env.UPSTREAM_SECRET
const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret)

// Standard Webhooks: HMAC-SHA256 of "id.timestamp.body". There are two signatures while one secret replaces another.
function isSigned(headers, body) {
  const id = headers['webhook-id'], time = headers['webhook-timestamp']
  const mac = crypto.createHmac('sha256', key).update(`${id}.${time}.`).update(body).digest('base64')
  const expected = Buffer.from(`v1,${mac}`)
  const matches = one => one.length === expected.length && crypto.timingSafeEqual(Buffer.from(one, 'latin1'), expected)
  return Math.abs(Date.now() / 1000 - time) < 300 && (headers['webhook-signature'] ?? '').split(' ').some(matches)
}

// What a function returns is the answer: [status, JSON], or the status alone.
const handlers = {
  'carillon.connect': ({ user }) => user === 'mallory' ? 403 : [200, { subscribe: [`user:${user}`], state: { since: Date.now() } }],
  'carillon.subscribe': ({ channel }) => channel.startsWith('secret:') ? 403 : 204,
  'carillon.connected': (_, headers) => [200, { hello: headers['ce-userid'] }],
  'carillon.message': ({ headers, payload }) => [200, { headers: { correlationId: headers.correlationId }, payload }],
  'carillon.disconnected': ({ code, reason }, headers) => { console.log(headers['ce-sessionid'], code, reason); return 204 },
}

function answer(headers, body) {
  if (!isSigned(headers, body)) return 401
  try {
    if (headers['content-type']?.startsWith('application/cloudevents-batch+json')) {
      for (const event of JSON.parse(body)) console.log(event.id, event.type, JSON.stringify(event.data))
      return 204
    }
    return handlers[headers['ce-type']](body.length ? JSON.parse(body) : null, headers)
  } catch (error) { // not as we expect it
    return 400
  }
}

http.createServer(async (request, response) => {
  try {
    const [status, json] = [answer(request.headers, Buffer.concat(await request.toArray()))].flat()
    response.writeHead(status, json ? { 'content-type': 'application/json' } : {})
    response.end(json && JSON.stringify(json))
  } catch (error) { // the request was broken off
    response.destroy()
  }
}).listen(process.argv[2], '127.0.0.1')
