// A backend behind an endpoint of Carillon, with Node's own http module: node backend.mjs
import { createServer } from "node:http";

// A request of a client: two frames with its correlation id. The second frame has all of the text.
function answer({ headers: { correlationId, action }, payload }) {
  const frame = content => ({ headers: { correlationId, action }, payload: content });
  return [frame({ text: "You said" }), frame({ text: `You said: ${payload.text}`, done: true })];
}

// Audio: one frame.
function transcribe(audio, user) {
  return [{ type: "transcription", text: `${audio.length} bytes of ${user}` }];
}

async function read(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

const server = createServer(async (request, response) => {
  const body = await read(request);
  try {
    const isJson = request.headers["content-type"] === "application/json";
    const frames = isJson ? answer(JSON.parse(body)) : transcribe(body, request.headers["ce-userid"]);
    response.writeHead(200, { "content-type": "application/x-ndjson" }); // a frame for each line
    response.end(frames.map(frame => JSON.stringify(frame) + "\n").join(""));
  } catch {
    response.writeHead(400).end(); // the client gets the error frame of its endpoint
  }
});

server.listen(process.env.PORT ?? 9000, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
