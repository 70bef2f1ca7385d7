// check.mjs DOCUMENT < FRAMES - checks an AsyncAPI document. It must be valid, and its examples must fit its own schemas. Frames of a
// server and of clients must be as it says. FRAMES: JSON, a list of {message, frame}. Prints a JSON list of what is wrong.
import { Parser } from "@asyncapi/parser";
import Ajv from "ajv/dist/2020.js";
import { readFileSync } from "node:fs";

const wrong = [];
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
// 0 is an error and 1 a warning; the rest are hints of style.
for (const { severity, message, path } of diagnostics) if (severity <= 1) wrong.push(`${path.join(".")}: ${message}`);

/** A member that a schema does not name is wrong too: the document must tell all. */
function fits(ajv, schema, value, where) {
  const check = ajv.compile({ ...schema, unevaluatedProperties: false });
  if (!check(value)) for (const { instancePath, message, params } of check.errors) wrong.push(`${where}${instancePath}: ${message} ${JSON.stringify(params)}`);
}

if (document) {
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const messages = new Map(document.components().messages().all().map((message) => [message.id(), message]));
  for (const [id, message] of messages) {
    if (message.examples().length === 0) wrong.push(`${id}: has no example`);
    for (const example of message.examples()) fits(ajv, message.payload().json(), example.payload(), `${id}, its example`);
  }
  for (const { message, frame } of JSON.parse(readFileSync(0, "utf8") || "[]")) {
    const found = messages.get(message);
    if (found) fits(ajv, found.payload().json(), frame, `${message} of the server, ${JSON.stringify(frame)}: `);
    else wrong.push(`${message}: the document has no such message`);
  }
}
console.log(JSON.stringify(wrong));
