// @ts-check
// Serves an example of plain files. Page, backend and Carillon have one origin, as behind a load balancer.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:net";

const CLIENT = new URL("../../client/js/dist/", import.meta.url);
/** @type {Record<string, string>} */
const TYPES = { html: "text/html", css: "text/css", js: "text/javascript", map: "application/json" };

/** @typedef {(query: URLSearchParams) => string | Promise<string>} Route */

/**
 * @param {URL} folder - of the page
 * @param {import("./carillon.mjs").CarillonServer} carillon - gets the WebSockets
 * @param {Record<string, Route>} routes - what the backend answers to POST, by path
 * @returns {Promise<string>} the URL of the page
 */
export function serve(folder, carillon, routes) {
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://host");
    try {
      if (request.method === "POST") return void response.end(await routes[pathname]?.(searchParams));
      const [base, name] = pathname.startsWith("/carillon/") ? [CLIENT, pathname.slice(10)] : [folder, pathname.slice(1) || "index.html"];
      const type = TYPES[name.slice(name.lastIndexOf(".") + 1)];
      if (!type) return void response.writeHead(404).end();
      response.writeHead(200, { "Content-Type": `${type}; charset=utf-8`, "Cache-Control": "no-cache" }).end(await readFile(new URL(name, base)));
    } catch (error) {
      console.error(`${request.method} ${pathname}: ${error}`);
      response.writeHead(404).end();
    }
  });
  server.on("upgrade", ({ url, rawHeaders }, socket, head) => {
    const upstream = connect(Number(new URL(carillon.url).port), "127.0.0.1");
    const lines = rawHeaders.map((text, i) => text + (i % 2 ? "\r\n" : ": ")).join("");
    upstream.write(`GET ${url} HTTP/1.1\r\n${lines}\r\n`);
    upstream.write(head);
    upstream.pipe(socket).pipe(upstream);
    upstream.on("error", () => socket.destroy());
    socket.on("error", () => upstream.destroy());
  });
  return new Promise((resolve) =>
    server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
      console.log(`open http://127.0.0.1:${port}/`);
      resolve(`http://127.0.0.1:${port}/`);
    }),
  );
}
