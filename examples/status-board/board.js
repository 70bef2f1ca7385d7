// @ts-check
import { Carillon } from "/carillon/index.js";

const client = new Carillon({
  url: location.origin,
  getToken: async ({ signal }) => (await fetch("/token", { method: "POST", signal })).text(),
});
const channel = client.channel("status");
const board = document.querySelector("ul");
const template = document.querySelector("template");
const connection = document.querySelector("output");

/** The card of each service, by its name. */
const cards = new Map();

function createCard(name) {
  const card = document.importNode(template.content.firstElementChild, true);
  card.querySelector("h2").textContent = name;
  cards.set(name, card);
  board.append(card);
  return card;
}

function show({ data, timestamp }) {
  const card = cards.get(data.entity_id) ?? createCard(data.entity_id);
  const since = card.querySelector("time");
  if (card.dataset.status === data.status || timestamp < since.dateTime) return; // said again, or long ago
  card.dataset.status = data.status;
  card.querySelector("strong").textContent = data.status;
  since.dateTime = timestamp;
  since.textContent = new Date(timestamp).toLocaleTimeString();
}

client.onStateChange.subscribe((state) => {
  connection.textContent = state === "open" ? "live" : state;
  document.body.dataset.connection = state;
});

// The history has the last status of each service: the board is complete at once.
channel.on("status_update", show, { last: 100 });
channel.onContinuity.subscribe(async ({ recovered }) => {
  if (!recovered) (await channel.history({ limit: 100 })).events.forEach(show); // else what was missed follows by itself
});
