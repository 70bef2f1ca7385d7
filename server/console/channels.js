// channels.js - channels with their histories, and events to publish.

const LEVELS = ["", "info", "success", "warning", "error"];
const TYPES = { // docs/protocol.md, "Events"
  notification: { message: "", level: LEVELS },
  chat_message: { conversation_id: "", sender_id: "", content: "" },
  status_update: { entity_type: "", entity_id: "", status: "" },
};

const channels = { list: null };

function createChannel() {
  return make("div", {}, make("span"), make("span", { className: "soft" }));
}

function fillChannel(row, { channel, subscribers }) {
  row.children[0].textContent = channel;
  row.children[1].textContent = subscribers === 1 ? "1 subscriber" : `${subscribers} subscribers`;
}

async function readChannels() {
  const found = [];
  for (let after = ""; after !== null && found.length < 10000;) {
    const page = await api("GET", `/channels?limit=1000${after && `&after=${encodeURIComponent(after)}`}`);
    found.push(...page.channels);
    after = page.next;
  }
  channels.list.set(found);
  $("channel-list").hidden = !found.length;
  $("channel-none").hidden = found.length > 0;
}

const isShown = id => !$(id).hidden;
const refreshChannels = eased(async () => {
  if (isShown("channels")) await readChannels();
}, 300);

// --- history ---

const channelName = () => $("channel-form").elements.channel.value;

async function openChannel(channel) {
  $("channel-form").elements.channel.value = channel;
  showTab("channels");
  await readHistory();
}

async function readHistory() {
  const channel = channelName();
  if (!channel) return;
  const page = await api("GET", `/channels/${encodeURIComponent(channel)}/history?limit=50`);
  if (channel !== channelName()) return;
  $("history-of").textContent = page.epoch ? `newest at ${page.offset}, epoch ${page.epoch}` : "none is kept";
  $("history").replaceChildren(...page.events.reverse().map(historyEntry));
}

const refreshHistory = eased(async () => {
  if (isShown("channels")) await readHistory();
}, 300);

function historyEntry(event) {
  const title = make("summary", {}, make("code", { className: "soft" }, String(event.offset ?? "")), make("strong", {}, String(event.type)),
    make("span", { className: "soft" }, JSON.stringify(event.data ?? null).slice(0, 120)));
  return make("li", {}, make("details", { className: "entry" }, title, make("pre", {}, pretty(event))));
}

// --- publish ---

function member(name, kind) {
  const required = kind !== LEVELS;
  const field = Array.isArray(kind) ? make("select", { name }, ...kind.map(value => new Option(value || "none", value))) : make("input", { name, required, autocomplete: "off" });
  return make("label", {}, `${name} `, field);
}

function customMembers() {
  const type = make("input", { name: "custom-type", required: true, pattern: "[a-z][a-z0-9_.\\-]{0,63}", value: "order.changed", autocomplete: "off", spellcheck: false });
  const data = make("textarea", { name: "custom-data", rows: 4, required: true, spellcheck: false, value: '{"id": 1}' });
  return [make("label", {}, "name ", type), make("label", { className: "tall" }, "data, as JSON ", data)];
}

function showMembers() {
  const members = TYPES[$("publish").elements.type.value];
  $("publish-fields").replaceChildren(...(members ? Object.entries(members).map(([name, kind]) => member(name, kind)) : customMembers()));
}

function readEvent() {
  const form = $("publish").elements;
  const members = TYPES[form.type.value];
  if (!members) return { type: form["custom-type"].value, data: readJson(form["custom-data"].value, "The data of the event") };
  const filled = Object.keys(members).map(name => [name, form[name].value]).filter(([name, value]) => value || members[name] !== LEVELS);
  return { type: form.type.value, data: Object.fromEntries(filled) };
}

async function publish() {
  const channel = channelName();
  if (!channel) throw new Error("Which channel? Choose one, or write its name above");
  const { offset } = await api("POST", "/publish", { channel, ...readEvent() });
  tell(offset === undefined ? "Published" : `Published at ${offset}`);
  await readHistory();
}

function setUpChannels() {
  $("channel-list").classList.add("pair");
  channels.list = new List($("channel-list"), { create: createChannel, fill: fillChannel, choose: attempt(({ channel }) => openChannel(channel)), key: ({ channel }) => channel });
  $("channel-form").onsubmit = event => {
    event.preventDefault();
    attempt(readHistory)();
  };
  $("publish").elements.type.append(...Object.keys(TYPES).map(type => new Option(type, type)), new Option("another type", ""));
  $("publish").elements.type.onchange = showMembers;
  $("publish").onsubmit = event => {
    event.preventDefault();
    attempt(publish)();
  };
  $("tab-channels").addEventListener("chosen", () => { refreshChannels(); refreshHistory(); });
  showMembers();
}
