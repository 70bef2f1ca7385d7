// rules.js - rules: which messages and connections a fault happens to.

const EXAMPLES = [{ do: "delay", by: "2s" }, { do: "drop" }, { do: "duplicate", n: 1 }, { do: "reorder", window: 2 }, { do: "corrupt" },
  { do: "truncate", bytes: 10 }, { do: "fragment", bytes: 10 }, { do: "replace", frame: { type: "hello" } }, { do: "inject", frame: { type: "hello" } },
  { do: "lose_answer" }, { do: "error", code: "rate_limited" }, { do: "refuse", status: 503, retry_after: "5s" }, { do: "slow_handshake", by: "2s" },
  { do: "close" }, { do: "reset" }, { do: "half_close" }, { do: "freeze", for: "10s" }, { do: "throttle", bytes_per_s: 1000 },
  { do: "gap", reason: "history_too_short" }, { do: "expire" }, { do: "lose_history" }, { do: "reconnect", after_ms: 1000 }];

/** Puts a rule into the form, for the user to change and add. */
function draftRule(rule) {
  $("rule-form").elements.rule.value = pretty(rule);
  $("rule-form").elements.action.value = rule.action.do;
  showView("control");
  showTab("rules");
  $("rule-form").elements.rule.focus();
}

/** Another action in the rule that stands in the form. */
function exchangeAction() {
  const { rule, action } = $("rule-form").elements;
  const present = rule.value.trim() ? readJson(rule.value, "The rule") : { match: {}, times: 1 };
  const example = EXAMPLES.find(one => one.do === action.value);
  rule.value = pretty({ ...present, action: example });
}

async function addRule() {
  const { id } = await order("/rules", readJson($("rule-form").elements.rule.value, "The rule"));
  tell(`Rule ${id} is there`);
  await readRules();
}

async function readRules() {
  const { rules } = await order("/rules", undefined, "GET");
  $("rule-list").replaceChildren(...rules.slice(0, 200).map(ruleEntry));
  $("rule-count").textContent = rules.length || "";
  $("rule-none").hidden = rules.length > 0;
}

const refreshRules = eased(readRules, 200);

function ruleEntry({ id, hits, times, comment, match, action }) {
  const remove = make("button", { type: "button", onclick: attempt(async () => { await order(`/rules/${id}`, undefined, "DELETE"); await readRules(); }) }, "Remove");
  remove.setAttribute("aria-label", `Remove rule ${id}`);
  const counted = [`${hits} ${hits === 1 ? "hit" : "hits"}`, times === undefined ? "" : `${times} left`, comment ?? ""].filter(Boolean).join(", ");
  const title = make("span", {}, make("strong", {}, id), ` ${action.do} `, make("span", { className: "hint" }, counted));
  return make("li", { className: "entry rule" }, title, remove, make("code", {}, JSON.stringify({ match, action })));
}

async function removeRules() {
  await order("/rules", undefined, "DELETE");
  await readRules();
}

function setUpRules() {
  const form = $("rule-form");
  form.elements.action.append(...EXAMPLES.map(action => new Option(action.do.replaceAll("_", " "), action.do)));
  form.elements.action.onchange = attempt(exchangeAction);
  form.elements.rule.value = pretty({ match: { at: "out", channel: "*" }, action: EXAMPLES[0], times: 1 });
  form.onsubmit = event => {
    event.preventDefault();
    attempt(addRule)();
  };
  $("rules-empty").onclick = attempt(removeRules);
  $("tab-rules").addEventListener("chosen", refreshRules); // the journal does not tell of rules that tests have added
  addEventListener("focus", refreshRules);
}
