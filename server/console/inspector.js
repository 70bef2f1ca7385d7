// inspector.js - sessions, channels and nodes of `carillon serve`, to look at. It only asks by GET.

const PAGE = 100;

async function read(path) {
  try {
    return await ask("GET", `/console/api/v1${path}`);
  } catch (error) {
    if (error.status === 401) location.reload(); // the login has ended
    throw error;
  }
}

const facts = pairs => make("dl", {}, ...Object.entries(pairs).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]));
const entry = (title, hint, pairs) => make("li", { className: "entry" }, make("strong", {}, title), " ", make("span", { className: "hint" }, hint), facts(pairs));

// --- nodes ---

function nodeEntry({ node, version, workers, uptime_s, sessions, channels, broker, disagrees }) {
  const pairs = { version, workers, "up since": new Date(Date.now() - uptime_s * 1000).toISOString().slice(0, 19), sessions, channels,
    broker: [`${broker.kind}, ${broker.state}`, broker.round_trip_us ? `${broker.round_trip_us} µs` : "", broker.why ?? ""].filter(Boolean).join(", ") };
  if (disagrees) pairs["differs from"] = disagrees.map(one => `${one.node} (${one.about})`).join(", ");
  return entry(node, "", pairs);
}

async function readNodes() {
  const info = await read("/info");
  $("version").textContent = info.version;
  $("total").textContent = `${info.sessions} sessions on ${info.nodes.length} ${info.nodes.length === 1 ? "node" : "nodes"}`;
  $("nodes").replaceChildren(...info.nodes.map(nodeEntry));
}

// --- sessions and channels, in pages ---

function sessionEntry({ session_id, user, node, address, connected_at, expires_at, channels, outbox_bytes }) {
  return entry(user, channels === 1 ? "1 channel" : `${channels} channels`,
    { session: session_id, node, address, connected: connected_at, "token ends": expires_at ?? "never", "not sent": `${outbox_bytes} bytes` });
}

function channelEntry({ channel, subscribers }) {
  const more = make("div");
  const look = async () => more.replaceChildren(facts(await readChannel(channel)));
  const button = make("button", { type: "button", onclick: attempt(look) }, "Who is there");
  button.setAttribute("aria-label", `Who is there, on ${channel}`);
  const title = make("span", {}, make("strong", {}, channel), " ", make("span", { className: "hint" }, subscribers === 1 ? "1 subscriber" : `${subscribers} subscribers`));
  return make("li", { className: "entry rule" }, title, button, more);
}

async function readChannel(channel) {
  const path = `/channels/${encodeURIComponent(channel)}`;
  const { nodes } = await read(path);
  try {
    const { users, connections, members, next } = await read(`${path}/presence?limit=${PAGE}`);
    return { nodes, users, connections, present: members.map(member => member.user).join(", ") + (next === null ? "" : ", …") };
  } catch (error) {
    if (error.status !== 404) throw error;
    return { nodes, presence: "is not kept here" };
  }
}

/** A form with words and a button for the next page. list: name of the API's list; filter: its parameter for the words. */
function setUpPages(list, filter, makeEntry) {
  const form = $(list).elements;
  let next = null;
  const show = async after => {
    const query = new URLSearchParams({ limit: PAGE });
    if (form.words.value) query.set(filter, form.words.value);
    if (after) query.set("after", after);
    const page = await read(`/${list}?${query}`);
    next = page.next;
    form.next.disabled = next === null;
    $(`${list}-page`).replaceChildren(...page[list].map(makeEntry));
    if (page.partial) complain(new Error("Not all nodes have answered: the page may lack some"));
  };
  $(list).onsubmit = event => {
    event.preventDefault();
    attempt(show)();
  };
  form.next.onclick = attempt(() => show(next));
  return () => show();
}

const readSessionsPage = setUpPages("sessions", "user", sessionEntry);
const readChannelsPage = setUpPages("channels", "prefix", channelEntry);

async function readAll() {
  await Promise.all([readNodes(), readSessionsPage(), readChannelsPage()]);
  $("link").textContent = `read at ${new Date().toISOString().slice(11, 19)}`;
  $("link").className = "link live";
}

$("again").onclick = attempt(readAll);
attempt(readAll)();
