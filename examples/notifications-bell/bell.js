// @ts-check
import { Carillon, storageStore } from "/carillon/index.js";
import { tabs } from "/carillon/tabs.js";

const KEPT = 50;

const client = new Carillon({
  url: location.origin,
  getToken: async ({ signal }) => (await fetch("/token", { method: "POST", signal })).text(),
  store: storageStore(sessionStorage), // a page that is loaded again goes on where it was
  env: { WebSocket: tabs() }, // one connection for all tabs
});
const channel = client.channel("user:ada");
const bell = document.getElementById("bell");
const count = document.getElementById("count");
const panel = document.getElementById("panel");
const news = document.getElementById("news");

/** Newest first. They are kept where the position is: a page that is loaded again gets only those that came meanwhile. */
let inbox = JSON.parse(sessionStorage.getItem("inbox") ?? "[]");

function keep(notifications) {
  inbox = notifications.slice(0, KEPT);
  sessionStorage.setItem("inbox", JSON.stringify(inbox));
  show();
}

/** Until when the user has seen everything. All tabs share it. */
const seenUntil = () => localStorage.getItem("seen-until") ?? "";

function show() {
  if (panel.matches(":popover-open") && inbox.length > 0) localStorage.setItem("seen-until", inbox[0].timestamp);
  const unread = inbox.filter(({ timestamp }) => timestamp > seenUntil()).length;
  count.textContent = `${unread}`;
  count.hidden = unread === 0;
  bell.ariaLabel = news.textContent = unread ? `Notifications, ${unread} unread` : "Notifications";
  document.title = unread ? `(${unread}) Home` : "Home";
  document.getElementById("nothing").hidden = inbox.length > 0;
  document.getElementById("list").replaceChildren(...inbox.map(createRow));
}

function createRow({ data, timestamp }) {
  const row = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = timestamp;
  time.textContent = new Date(timestamp).toLocaleTimeString();
  row.append(data.message, time);
  return row;
}

channel.on("notification", (notification) => keep([notification, ...inbox]), { last: KEPT });
channel.onContinuity.subscribe(async ({ recovered }) => {
  if (recovered) return; // what was missed follows by itself
  keep([]);
  const { events, offset } = await channel.history({ limit: KEPT });
  keep([...inbox.filter((since) => since.offset > offset), ...events.reverse()]);
});
addEventListener("storage", show); // another tab has shown them
panel.addEventListener("toggle", show);
document.getElementById("send").addEventListener("click", () => fetch("/notify?message=A+file+for+you", { method: "POST" }));
show();
