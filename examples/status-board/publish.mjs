// @ts-check
// publish.mjs SERVICE STATUS - tells the status of one service.
// publish.mjs               - tells that of all services, then a change every few seconds.
import { setTimeout as wait } from "node:timers/promises";

const { CARILLON_API, CARILLON_API_KEY = "" } = process.env;
const SERVICES = ["website", "sign-in", "payments", "search", "e-mail", "reports"];
const STATUSES = ["operational", "operational", "operational", "degraded", "outage"];

/**
 * @param {string} service
 * @param {string} status
 */
async function publish(service, status) {
  const event = { channel: "status", type: "status_update", data: { entity_type: "service", entity_id: service, status } };
  const answer = await fetch(`${CARILLON_API}/api/v1/publish`, {
    method: "POST",
    headers: { "X-API-Key": CARILLON_API_KEY },
    body: JSON.stringify(event),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
}

/** @template T @param {T[]} list */
const oneOf = (list) => /** @type {T} */ (list[Math.floor(Math.random() * list.length)]);

const [service, status] = process.argv.slice(2);
if (service && status) await publish(service, status);
else {
  for (const name of SERVICES) await publish(name, "operational");
  for (;;) {
    await wait(3000);
    await publish(oneOf(SERVICES), oneOf(STATUSES)).catch((error) => console.error(`publish: ${error}`));
  }
}
