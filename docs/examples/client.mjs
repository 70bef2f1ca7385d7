// client.mjs - a WebSocket client, for Node 22 or later, without packages: it sends its arguments, and prints what comes.
// Run: node client.mjs 'ws://127.0.0.1:8080/chat?token=…' '{"a":1}'
const [url, ...messages] = process.argv.slice(2)
const socket = new WebSocket(url)
socket.onopen = () => messages.forEach(message => socket.send(message))
socket.onmessage = frame => console.log(frame.data)
socket.onclose = end => console.log(`closed: ${end.code} ${end.reason}`)
