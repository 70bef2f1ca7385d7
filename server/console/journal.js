// journal.js - what happens, line by line.

const KINDS = ["connected", "refused", "subscribed", "unsubscribed", "closed", "published", "received", "delivered", "answered", "sent",
  "closing", "rule", "clock", "broker", "reset"];
const KEPT = 10000;  // lines, as many as the server keeps
const BEYOND_KEPT = 1000;
const BUDGET_MS = 6; // of a frame of the screen, for lines that have come

const journal = { lines: [], waiting: [], after: 0, paused: false, chosen: null, takes: () => true, hear: () => {}, list: null, planned: false };

// --- rows ---

const TONES = { refused: "dir-bad", closed: "dir-bad", closing: "dir-bad", rule: "dir-rule", clock: "dir-rule", broker: "dir-rule", reset: "dir-rule" };
const toneOf = line => TONES[line.kind] ?? { in: "dir-in", out: "dir-out" }[line.dir] ?? "";
const ARROWS = { in: "→ ", out: "← ", sys: "· " };

/** The type, and what a person would read of the data. */
function frameWords(frame) {
  const data = frame?.data ?? frame;
  if (data?.type && data.data) return [wordOf(frame.type), ...frameWords(data)]; // a publish
  return [wordOf(frame?.type), wordOf(data?.content ?? data?.message ?? data)];
}

/** A client may send any JSON where a text is due. */
const wordOf = value => typeof value === "string" ? value : JSON.stringify(value);

/** The journal does not read the channel of a command. */
function channelOf({ channel, frame }) {
  const named = frame?.data?.channel;
  return channel ?? (typeof named === "string" ? named : undefined);
}

function summaryOf(line) {
  const words = [line.code, line.text, line.rule];
  if (line.bytes !== undefined) words.push(`${line.bytes} bytes`);
  if (line.frame !== undefined) words.push(...frameWords(line.frame));
  return words.filter(word => word !== undefined).join(" ").slice(0, 300);
}

function createLine() {
  const wide = () => make("span", { className: "wide" });
  return make("div", {}, make("span", { className: "soft" }), make("span"), wide(), make("span", { className: "wide soft" }), wide(), make("span"));
}

function fillLine(row, line) {
  const texts = [line.at.slice(11, 23), ARROWS[line.dir] + line.kind, line.user ?? "", short(line.session), channelOf(line) ?? "", summaryOf(line)];
  texts.forEach((text, index) => { row.children[index].textContent = text; });
  row.children[1].className = toneOf(line);
}

// --- the filter ---

/** A function that says whether a text has the words, or fits the pattern if there is a '*'. */
function fits(words) {
  if (!words) return () => true;
  if (!words.includes("*")) return text => (text ?? "").includes(words);
  const pattern = new RegExp(`^${words.split("*").map(part => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&")).join("[^]*")}$`);
  return text => pattern.test(text ?? "");
}

function readFilter() {
  const form = $("filter").elements;
  const kind = form.kind.value;
  const [user, session, channel] = [fits(form.user.value), fits(form.session.value), fits(form.channel.value)];
  journal.takes = line => (!kind || line.kind === kind || line.dir === kind) && user(line.user) && session(line.session) && channel(channelOf(line));
  refilter();
}

function refilter() {
  journal.list.set(journal.lines.filter(journal.takes));
  showCount();
}

function showCount() {
  const shown = journal.list.items.length, all = journal.lines.length;
  $("journal-count").textContent = shown === all ? `${all} lines` : `${shown} of ${all} lines`;
  $("lines-none").hidden = shown > 0;
  $("lines-none").textContent = all ? "No line fits the filter." : "Nothing has happened yet. Make a token, connect, and watch.";
}

// --- lines that come ---

function receive(text) {
  journal.waiting.push(text);
  if (journal.waiting.length > 2 * KEPT) journal.waiting.splice(0, KEPT); // a page in the background draws nothing
  planDrain();
}

function planDrain() {
  if (journal.planned) return;
  journal.planned = true;
  requestAnimationFrame(drain);
}

function drain() {
  const until = performance.now() + BUDGET_MS;
  let taken = 0;
  journal.planned = false;
  while (taken < journal.waiting.length && performance.now() < until) takeText(journal.waiting[taken++]);
  journal.waiting.splice(0, taken);
  const dropped = forgetOldest();
  if (!journal.paused) {
    journal.list.update(dropped);
    showCount();
  }
  if (journal.waiting.length) planDrain();
}

/** A line that cannot be shown does not keep the next ones back. */
function takeText(text) {
  try {
    take(JSON.parse(text));
  } catch (error) {
    complain(error);
  }
}

function take(line) {
  if (line.n <= journal.after) forgetAll(); // the server counts anew
  journal.after = line.n;
  journal.lines.push(line);
  if (!journal.paused && journal.takes(line)) journal.list.items.push(line);
  journal.hear(line);
}

/** How many lines have left the list. */
function forgetOldest() {
  if (journal.lines.length < KEPT + BEYOND_KEPT) return 0;
  journal.lines.splice(0, journal.lines.length - KEPT);
  if (journal.paused) return 0;
  const oldest = journal.lines[0].n;
  const keep = journal.list.items.findIndex(line => line.n >= oldest);
  return journal.list.items.splice(0, keep < 0 ? journal.list.items.length : keep).length;
}

function forgetAll() {
  journal.lines = [];
  journal.after = 0;
  closeLine();
  journal.list.set([]);
  showCount();
}

// --- the connection ---

function showLink(text, kind) {
  $("link").textContent = text;
  $("link").className = `link ${kind}`;
}

function follow() {
  const source = new EventSource(`/dev/v1/journal?after=${journal.after}`);
  source.onopen = () => showLink("live", "live");
  source.onmessage = event => receive(event.data);
  source.onerror = () => {
    source.close();
    showLink("away, trying again", "away");
    setTimeout(comeBack, 1000);
  };
}

/** Another process has another journal. */
async function comeBack() {
  try {
    const pid = server.pid;
    server = await order("/server", undefined, "GET");
    if (server.pid !== pid) forgetAll();
    showServer();
    follow();
  } catch {
    setTimeout(comeBack, 1000);
  }
}

// --- the chosen line ---

function openLine(line) {
  journal.chosen = line;
  $("line-rule").hidden = line.dir === "sys" && line.kind !== "connected" && line.kind !== "refused";
  $("line").hidden = false;
  $("line-title").textContent = `${line.n} ${line.kind}`;
  $("line-json").textContent = pretty(line);
  $("line-session").hidden = !line.session;
}

function closeLine() {
  hide($("line"), $("lines"));
  journal.chosen = null;
  journal.list.unpick();
}

/** What is the same in each run: the data of an event, and a reason or code. Other data has ids, epochs, times and tokens. */
function messageOf({ kind, frame }) {
  if (!frame?.type) return frame;
  const isEvent = kind === "published" || kind === "delivered" || (kind === "received" && frame.type === "publish");
  const { reason, code } = frame.data ?? {};
  return { type: frame.type, data: isEvent ? frame.data : reason || code ? { reason, code } : undefined };
}

/** What POST /dev/v1/verify and a test look for. */
function expectationOf(line) {
  const { kind, user, channel, code, text } = line;
  return { kind, user, channel, code, text, frame: messageOf(line) };
}

const testOf = line => `await s.verify([${JSON.stringify(expectationOf(line))}]);`;

function ruleOf(line) {
  const { user, frame } = line;
  const channel = channelOf(line);
  const type = frame?.type;
  if (line.kind === "connected" || line.kind === "refused") return { match: { at: "connect", user }, action: { do: "refuse", status: 503 }, times: 1 };
  if (line.dir === "in") return { match: { at: "in", type, channel, user }, action: { do: "lose_answer" }, times: 1 };
  return { match: { at: "out", type, channel, user }, action: { do: "delay", by: "2s" }, times: 1 };
}

// --- buttons ---

function pause() {
  journal.paused = !journal.paused;
  $("pause").setAttribute("aria-pressed", journal.paused);
  $("pause").textContent = journal.paused ? "Go on" : "Pause";
  if (!journal.paused) refilter();
}

async function emptyJournal() {
  await order("/journal", undefined, "DELETE");
  const { after } = journal;
  forgetAll();
  journal.after = after;
}

/** Shows the lines of one session. */
function showSessionLines(id) {
  $("filter").elements.session.value = id;
  readFilter();
  showView("journal");
}

function setUpJournal() {
  journal.list = new List($("lines"), { create: createLine, fill: fillLine, choose: openLine, key: line => line.n });
  journal.list.canFollow = journal.list.follows = true;
  $("filter").elements.kind.append(new Option("messages in", "in"), new Option("messages out", "out"), ...KINDS.map(kind => new Option(kind, kind)));
  $("filter").oninput = readFilter;
  $("filter").onsubmit = event => event.preventDefault();
  $("pause").onclick = pause;
  $("empty").onclick = attempt(emptyJournal);
  $("line-close").onclick = closeLine;
  $("line-copy").onclick = attempt(() => copy(pretty(journal.chosen)));
  $("line-test").onclick = attempt(() => copy(testOf(journal.chosen)));
  $("line-rule").onclick = () => draftRule(ruleOf(journal.chosen));
  $("line-session").onclick = () => showSessionLines(journal.chosen.session);
}
