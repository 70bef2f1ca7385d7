// sessions.js - who is connected, and what can be done to them.

const ACTIONS = [
  ["Close", { do: "close" }, "A close frame"],
  ["Reset", { do: "reset" }, "A TCP reset, without a close frame"],
  ["Freeze 10 s", { do: "freeze", for: "10s" }, "The socket stays, and nothing moves"],
  ["Expire", { do: "expire" }, "The token ends now"],
  ["Gap", { do: "gap", reason: "history_too_short" }, "Each of its channels gets a gap frame"],
];

const sessions = { all: [], count: 0, list: null, chosen: null };

function createSession() {
  return make("div", {}, make("span"), make("span", { className: "soft" }), make("code", { className: "soft" }));
}

function fillSession(row, session) {
  const count = session.channels.length;
  row.children[0].textContent = session.user;
  row.children[1].textContent = count === 1 ? "1 channel" : `${count} channels`;
  row.children[2].textContent = short(session.session_id);
}

function filterSessions() {
  const words = $("session-find").value;
  const found = sessions.all.filter(session => !words || session.user.includes(words) || session.session_id.includes(words));
  sessions.list.set(found);
  $("session-count").textContent = sessions.count;
  $("session-none").hidden = found.length > 0;
  $("session-none").textContent = sessions.all.length ? "No session fits." : "No client is connected.";
}

const FIRST_PAGE = 100, PAGE = 1000;

/** The first page is shown at once. Where sessions are shown already, they stay until all pages are there. */
async function readSessions() {
  const found = [];
  for (let after = "", limit = FIRST_PAGE; after !== null; limit = PAGE) {
    const page = await order(`/sessions?limit=${limit}&after=${after}`, undefined, "GET");
    found.push(...page.sessions);
    after = page.next;
    sessions.count = page.count;
    if (after === null || found.length > sessions.all.length) {
      sessions.all = found;
      filterSessions();
    }
  }
  if (!sessions.all.some(session => session.session_id === sessions.chosen)) closeSession();
  else await readSession();
}

const refreshSessions = eased(readSessions, 150);

// --- the chosen session ---

async function openSession(session) {
  sessions.chosen = session.session_id;
  await readSession();
}

function closeSession() {
  sessions.chosen = null;
  sessions.list.unpick();
  hide($("session"), $("session-list"));
}

async function readSession() {
  const id = sessions.chosen;
  try {
    const session = await order(`/sessions/${id}`, undefined, "GET");
    if (id === sessions.chosen) showSession(session);
  } catch (error) {
    if (error.status !== 404) throw error;
    if (id === sessions.chosen) closeSession(); // another one may have been chosen meanwhile
  }
}

function showSession(session) {
  const facts = { session: session.session_id, user: session.user, endpoint: session.endpoint, address: session.address, connected: session.connected_at,
    "token ends": session.expires_at ?? "never", waiting: `${session.outbox_messages} messages, ${session.outbox_bytes} bytes` };
  $("session").hidden = false;
  $("session-facts").replaceChildren(...Object.entries(facts).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]));
  $("session-channels").replaceChildren(...session.channels.slice(0, 100).map(channelEntry));
  $("session-last").textContent = [session.last_in, session.last_out].filter(Boolean).map(line => `${line.dir} ${pretty(line.frame ?? line.text ?? "")}`).join("\n");
}

function channelEntry({ channel, offset, recovering, subscribed }) {
  const state = recovering ? "recovering" : subscribed ? "" : "not yet subscribed";
  const button = make("button", { type: "button", className: "quiet", onclick: attempt(() => openChannel(channel)) }, channel);
  return make("li", {}, button, make("span", { className: "hint" }, [offset === undefined ? "" : `at ${offset}`, state].join(" ")));
}

async function actOn(id, action) {
  const { count } = await order("/do", { on: { session: id }, action });
  tell(count ? `Done: ${action.do}` : "The session has ended already");
  refreshSessions();
}

function actionButtons() {
  const act = action => attempt(() => actOn(sessions.chosen, action));
  const lines = make("button", { type: "button", onclick: () => showSessionLines(sessions.chosen) }, "Journal");
  return [...ACTIONS.map(([name, action, title]) => make("button", { type: "button", title, onclick: act(action) }, name)), lines];
}

function setUpSessions() {
  $("session-list").classList.add("pair");
  sessions.list = new List($("session-list"), { create: createSession, fill: fillSession, choose: attempt(openSession), key: session => session.session_id });
  $("session-find").oninput = filterSessions;
  $("session-actions").append(...actionButtons());
}
