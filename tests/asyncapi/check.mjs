// check.mjs DOCUMENT... < FRAMES - checks AsyncAPI documents. Each must be valid, and its examples must fit its own schemas. Frames of a
// server and of clients must be as it says. FRAMES: JSON, a list of {message, frame}. Prints a JSON list with a list of what is wrong
// with each document.
import { Parser } from "@asyncapi/parser";
import Ajv from "ajv/dist/2020.js";
import { readFileSync } from "node:fs";

const frames = JSON.parse(readFileSync(0, "utf8") || "[]");

/** A member that a schema does not name is wrong too: the document must tell all. */
function misfits(ajv, schema, value, where) {
  const check = ajv.compile({ ...schema, unevaluatedProperties: false });
  return check(value) ? [] : check.errors.map(({ instancePath, message, params }) => `${where}${instancePath}: ${message} ${JSON.stringify(params)}`);
}

function mistakes(document) {
  const wrong = [];
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const messages = new Map(document.components().messages().all().map((message) => [message.id(), message]));
  for (const [id, message] of messages) {
    if (message.examples().length === 0) wrong.push(`${id}: has no example`);
    for (const example of message.examples()) wrong.push(...misfits(ajv, message.payload().json(), example.payload(), `${id}, its example`));
  }
  for (const { message, frame } of frames) {
    const found = messages.get(message);
    if (found) wrong.push(...misfits(ajv, found.payload().json(), frame, `${message} of the server, ${JSON.stringify(frame)}: `));
    else wrong.push(`${message}: the document has no such message`);
  }
  return wrong;
}

const wrong = [];
for (const path of process.argv.slice(2)) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"));
  // 0 is an error and 1 a warning; the rest are hints of style.
  const invalid = diagnostics.filter(({ severity }) => severity <= 1).map(({ message, path: where }) => `${where.join(".")}: ${message}`);
  wrong.push([...invalid, ...(document ? mistakes(document) : [])]);
}
console.log(JSON.stringify(wrong));
