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
  $("total").textContent = `${counted(info.sessions, "session")} on ${counted(info.nodes.length, "node")}`;
  $("nodes").replaceChildren(...info.nodes.map(nodeEntry));
}

// --- sessions and channels, in pages ---

const counted = (count, what) => (count === 1 ? `1 ${what}` : `${count} ${what}s`);

/** Title and button, and below them what there is to know. */
function openable(title, hint, button, more) {
  return make("li", { className: "entry rule" }, make("span", {}, make("strong", {}, title), " ", make("span", { className: "hint" }, hint)), button, more);
}

function sessionEntry(session) {
  const { session_id, user, node, address, connected_at, expires_at, channels, outbox_bytes } = session;
  const shown = make("div");
  const button = make("button", { type: "button", onclick: attempt(() => openChannels(session, shown, button)) }, "Channels");
  button.setAttribute("aria-label", `Channels of ${user}, session ${short(session_id)}`);
  const pairs = { session: session_id, node, address, connected: connected_at, "token ends": expires_at ?? "never", "not sent": `${outbox_bytes} bytes` };
  return openable(user, counted(channels, "channel"), button, make("div", {}, facts(pairs), shown));
}

/** The first page of a session's channels, and a button for the next one. */
async function openChannels({ session_id }, shown, opener) {
  const hint = make("p", { className: "hint" });
  const list = make("ul", { className: "plain" });
  let after = null;
  const show = async () => {
    const { channels, channel_count, next } = await read(`/sessions/${session_id}?${new URLSearchParams(after === null ? { limit: PAGE } : { limit: PAGE, after })}`);
    hint.textContent = channels.length ? `${channels.length} of ${counted(channel_count, "channel")}, by name` : "No more channels.";
    list.replaceChildren(...channels.map(positionEntry));
    after = next;
    if (next === null) hide(more, opener);
  };
  const more = make("button", { type: "button", onclick: attempt(show) }, "Next channels");
  await show();
  shown.replaceChildren(hint, list, more);
}

function positionEntry({ channel, subscribed, recovering, recoverable, epoch, offset }) {
  const state = recovering ? "recovering" : subscribed ? (recoverable ? "" : "not recoverable") : "not yet subscribed";
  const position = recoverable ? `at ${offset} of epoch ${epoch}` : "";
  return make("li", { className: "position" }, channel, " ", make("span", { className: "hint" }, [position, state].filter(Boolean).join(", ")));
}

function channelEntry({ channel, subscribers }) {
  const more = make("div");
  const look = async () => more.replaceChildren(facts(await readChannel(channel)));
  const button = make("button", { type: "button", onclick: attempt(look) }, "Who is there");
  button.setAttribute("aria-label", `Who is there, on ${channel}`);
  return openable(channel, counted(subscribers, "subscriber"), button, more);
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
