// page.js - what all parts of the page use: elements, requests, copying. A text of a client becomes a text node and nothing else.

const $ = id => document.getElementById(id);

/** An element with properties and children. A child that is a string becomes text. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const pretty = value => JSON.stringify(value, null, 2);
const short = uuid => (uuid ?? "").slice(-12, -6); // as the terminal does

/** The JSON of an answer. A refusal is an Error with the server's sentence. */
async function ask(method, path, body, headers = {}) {
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  const json = text && answer.headers.get("content-type") === "application/json" ? JSON.parse(text) : null;
  if (answer.ok) return json;
  throw Object.assign(new Error(json?.error?.message ?? `${method} ${path} was answered ${answer.status}`), { status: answer.status });
}

/** The value of a JSON text that somebody has typed. `what` names the field in the complaint. */
function readJson(text, what) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} is not JSON: ${error.message}`);
  }
}

let noticeTimer;
function show(id, text, ms) {
  $("notice").textContent = "";
  $("done").textContent = "";
  $(id).textContent = text;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { $(id).textContent = ""; }, ms);
}
const tell = text => show("done", text, 3000);
const complain = error => show("notice", error.message, 10000);

/** Runs what a button orders, and shows what went wrong. */
const attempt = order => (...given) => Promise.resolve().then(() => order(...given)).catch(complain);

/** Hides a part. The focus goes on from where the part was opened. */
function hide(part, opener) {
  if (part.contains(document.activeElement)) opener.focus();
  part.hidden = true;
}

async function copy(text) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else copyFromField(text);
  tell("Copied");
}

/** Pages by plain HTTP from another machine have no navigator.clipboard. */
function copyFromField(text) {
  const field = make("textarea", { value: text });
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  focused?.focus();
}

/** A line with a text, and a button that copies all of it. */
function copyRow(name, text) {
  const button = make("button", { type: "button", onclick: attempt(() => copy(text)) }, "Copy");
  button.setAttribute("aria-label", `Copy ${name}`);
  return make("li", {}, make("span", {}, name), button, make("code", {}, text));
}

/** Calls the function soon, one call at a time, with a rest between that is five times as long as the last call. */
function eased(order, leastMs) {
  let timer = 0, restsUntil = 0, last = Promise.resolve();
  const run = async () => {
    const began = performance.now();
    await attempt(order)();
    restsUntil = performance.now() + 5 * (performance.now() - began);
  };
  const start = () => {
    timer = 0;
    last = last.then(run);
  };
  return () => { timer ||= setTimeout(start, Math.max(leastMs, restsUntil - performance.now())); };
}

/** Tabs of which the arrow keys choose one. */
function setUpTabs(tabs) {
  const choose = tab => {
    for (const one of tabs) {
      const chosen = one === tab;
      one.setAttribute("aria-selected", chosen);
      one.tabIndex = chosen ? 0 : -1;
      $(one.getAttribute("aria-controls")).hidden = !chosen;
    }
    tab.dispatchEvent(new Event("chosen"));
  };
  const step = (tab, by) => {
    const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
    choose(next);
    next.focus();
  };
  for (const tab of tabs) {
    tab.onclick = () => choose(tab);
    tab.onkeydown = event => {
      if (event.key === "ArrowRight") step(tab, 1);
      if (event.key === "ArrowLeft") step(tab, -1);
    };
  }
  return choose;
}
