// console.js - brings the parts together: views, tabs, keys, and what is read anew when something has happened.

let showTab;

function showView(name) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll(".views button")) button.setAttribute("aria-current", button.dataset.view === name);
}

const REFRESH = {
  connected: () => refreshSessions(), closed: () => refreshSessions(),
  subscribed: () => { refreshSessions(); refreshChannels(); }, unsubscribed: () => { refreshSessions(); refreshChannels(); },
  published: line => { if (line.channel === channelName()) refreshHistory(); },
  rule: () => refreshRules(), clock: () => refreshClock(), broker: () => refreshBroker(), reset: () => refreshAll(),
};

function refreshAll() {
  for (const refresh of [refreshSessions, refreshChannels, refreshHistory, refreshRules, refreshClock, refreshBroker]) refresh();
}

// --- keys ---

function go(view, id) {
  showView(view);
  $(id).focus();
}

function goToTab(name, id) {
  showTab(name);
  go("control", id);
}

const KEYS = {
  j: () => go("journal", "lines"),
  "/": () => { showView("journal"); $("filter").elements.kind.focus(); },
  p: () => pause(),
  t: () => { showView("connect"); $("token-form").elements.sub.focus(); },
  s: () => goToTab("sessions", "session-list"),
  c: () => { goToTab("channels", "tab-channels"); $("channel-form").elements.channel.focus(); },
  r: () => { goToTab("rules", "tab-rules"); $("rule-form").elements.rule.focus(); },
  "?": () => $("help").showModal(),
};

function closeChosen() {
  closeLine();
  closeSession();
}

function onKey(event) {
  if ($("help").open || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") closeChosen();
  if (event.target.matches("input, select, textarea") || !$("keys-on").checked || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
}

function setUpKeys() {
  $("keys-on").checked = localStorage.getItem("keys") !== "off";
  $("keys-on").onchange = () => localStorage.setItem("keys", $("keys-on").checked ? "on" : "off");
  $("help").onclose = () => { if ($("help").contains(document.activeElement)) $("help-open").focus(); };
  $("help-open").onclick = () => $("help").showModal();
  addEventListener("keydown", onKey);
}

// --- the start ---

async function start() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const choose = setUpTabs(tabs);
  showTab = name => choose($(`tab-${name}`));
  for (const button of document.querySelectorAll(".views button")) button.onclick = () => showView(button.dataset.view);
  for (const setUp of [setUpConnect, setUpJournal, setUpSessions, setUpChannels, setUpRules, setUpServer, setUpKeys]) setUp();
  showView("journal");
  showCount();
  journal.hear = line => REFRESH[line.kind]?.(line);
  server = await order("/server", undefined, "GET");
  showServer();
  follow();
  refreshAll();
}

attempt(start)();
