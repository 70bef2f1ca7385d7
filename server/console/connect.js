// connect.js - the URLs of the server, and tokens.

let server = {}; // what carillon dev tells a program, too (docs/dev.md)

const api = (method, path, body) => ask(method, `/api/v1${path}`, body, { "X-API-Key": server.api_key });
const order = (path, body, method = "POST") => ask(method, `/dev/v1${path}`, body);

/** A server that listens on all addresses is where this page came from. */
function reachable(url) {
  return url.replace(/\/\/(0\.0\.0\.0|\[::\])(?=[:/])/, `//${location.hostname}`);
}

function showServer() {
  $("version").textContent = server.version;
  $("urls").replaceChildren(
    ...server.endpoints.map(endpoint => copyRow(`WebSocket ${endpoint.path}`, reachable(endpoint.ws_url))),
    copyRow("HTTP API", `${reachable(server.api_url)}/api/v1`),
    copyRow("API key", server.api_key));
  const endpoints = $("token-form").elements.endpoint;
  endpoints.replaceChildren(...server.endpoints.map((endpoint, index) => new Option(endpoint.path, index)));
  $("endpoint-row").hidden = server.endpoints.length < 2;
}

const quoted = text => `'${text.replaceAll("'", "'\\''")}'`;

const curlOf = (url, header) =>
  `curl -N --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: ${btoa("carillon console")}' ${header}${quoted(url.replace(/^ws/, "http"))}`;

const textsOfUrl = url => ({ URL: url, curl: curlOf(url, "") });

/** An endpoint that takes no token in its query takes it as a subprotocol. */
function tokenTexts(endpoint, token, channels) {
  const url = reachable(endpoint.ws_url);
  const channel = channels.find(name => !name.includes("*")) ?? "demo";
  const offered = [endpoint.subprotocol, token];
  return {
    ...endpoint.query ? textsOfUrl(`${url}?${endpoint.query}=${token}`) : {
      browser: `new WebSocket(${JSON.stringify(url)}, ${JSON.stringify(offered)})`,
      curl: curlOf(url, `-H ${quoted(`Sec-WebSocket-Protocol: ${offered.join(", ")}`)} `),
    },
    ...endpoint.query === "token" && {
      "carillon listen": `carillon listen --url ${quoted(url)} --token ${quoted(token)} ${quoted(channel)}`,
      SDK: `const carillon = new Carillon({ url: ${JSON.stringify(url)}, getToken: () => ${JSON.stringify(token)} });`,
    },
    token,
  };
}

async function makeTicket({ ws_url, ticket_query, purpose, resource }, wish) {
  const { ticket } = await order("/tickets", { ...wish, purpose, resource });
  return { ...textsOfUrl(`${reachable(ws_url)}?${ticket_query}=${ticket}`), ticket };
}

async function makeToken(form) {
  const channels = form.channels.value.split(",").map(name => name.trim()).filter(Boolean);
  const wish = { sub: form.sub.value, channels, expires: form.expires.value };
  const endpoint = server.endpoints[form.endpoint.value];
  const texts = endpoint.query || endpoint.subprotocol ? tokenTexts(endpoint, (await order("/tokens", wish)).token, channels) : await makeTicket(endpoint, wish);
  $("token-copies").replaceChildren(...Object.entries(texts).map(([name, text]) => copyRow(name, text)));
}

function setUpConnect() {
  const form = $("token-form");
  form.onsubmit = event => {
    event.preventDefault();
    attempt(makeToken)(form.elements);
  };
}
