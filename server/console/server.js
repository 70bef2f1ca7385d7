// server.js - the clock, the broker, and a reset.

const clock = { wallMs: 0, readAt: 0, rate: 1, last: Promise.resolve() };

function takeClock({ now, rate }) {
  Object.assign(clock, { wallMs: Date.parse(now), readAt: performance.now(), rate });
  $("freeze").setAttribute("aria-pressed", rate === 0);
  $("freeze").textContent = rate === 0 ? "Run" : "Freeze";
  showTime();
}

function showTime() {
  const now = clock.wallMs + (performance.now() - clock.readAt) * clock.rate;
  $("now").textContent = new Date(now).toISOString().slice(0, 19).replace("T", " ");
}

/** One order after the other: the server refuses an order while the clock is being moved. */
function orderClock(body) {
  clock.last = clock.last.catch(() => {}).then(async () => takeClock(await order("/clock", body)));
  return clock.last;
}

const refreshClock = eased(async () => takeClock(await order("/clock", undefined, "GET")), 100);

function showBroker({ state }) {
  for (const button of $("broker").children) button.setAttribute("aria-pressed", button.dataset.state === state);
}

const orderBroker = async state => showBroker(await order("/broker", { state }));
const refreshBroker = eased(async () => showBroker(await order("/broker", undefined, "GET")), 100);

async function resetAll() {
  await order("/reset", {});
  tell("Everything is empty");
  refreshAll();
}

function setUpServer() {
  for (const button of document.querySelectorAll("[data-advance]")) button.onclick = attempt(() => orderClock({ advance: button.dataset.advance }));
  for (const button of document.querySelectorAll("[data-state]")) button.onclick = attempt(() => orderBroker(button.dataset.state));
  $("freeze").onclick = attempt(() => orderClock(clock.rate ? { freeze: true } : { run: true }));
  $("reset").onclick = attempt(resetAll);
  setInterval(showTime, 1000);
}
