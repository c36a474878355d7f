import { chip, chosen, confidence, eachSecond, element, getJson, inSeconds, postJson, setContent, setText } from "./common.js";

const SHOWN = window.matchMedia("(max-width: 54rem)").matches ? 12 : 40;
const PULSE_S = 60;
const titles = document.body.dataset;
const form = document.getElementById("write");
const rows = new Map();
const pulse = [];
let before = null;
let watched = null;

const byId = (id) => document.getElementById(id);

function showSummary(summary) {
  const { tickets, latency_s: latency } = summary;
  const alive = tickets.created - tickets.deleted;
  for (const name of ["created", "delivered", "filled", "suggested", "waiting"]) {
    setText(byId(name), tickets[name].toLocaleString("en"));
  }
  for (const name of ["updates", "conflicts", "limited"]) setText(byId(name), summary[name].toLocaleString("en"));
  setText(byId("filled-share"), `${alive ? Math.round((100 * tickets.filled) / alive) : 0} %`);
  setText(byId("p50"), inSeconds(latency.p50));
  setText(byId("p99"), inSeconds(latency.p99));

  // The counters only grow; a smaller one means the simulator was reset.
  const reset = before && tickets.created < before.tickets.created;
  if (before && !reset) {
    pulse.push([tickets.created - before.tickets.created, summary.updates - before.updates]);
    pulse.splice(0, pulse.length - PULSE_S);
  } else if (reset) {
    pulse.length = 0;
  }
  before = summary;
  drawPulse();
  const faults = Object.entries(summary.faults).filter(([, value]) => value);
  byId("faults").hidden = faults.length === 0;
  setText(byId("faults"), `Broken on purpose: ${faults.map(([name, value]) => (value === true ? name : `${name} ${value}`)).join(", ")}`);
}

function drawPulse() {
  const highest = Math.max(4, ...pulse.flat());
  // One second is four units wide: arrivals grow upwards from the middle, updates downwards.
  const bars = pulse.flatMap(([arrived, answered], index) => {
    const x = 240 - (pulse.length - index) * 4;
    const [up, down] = [(27 * arrived) / highest, (27 * answered) / highest];
    return [rectangle(x, 27 - up, 3, up, "arrived"), rectangle(x, 29, 3, down, "answered")];
  });
  byId("pulse").replaceChildren(rectangle(0, 27.5, 240, 1, "middle"), ...bars);
}

function rectangle(x, y, width, height, className) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ x, y, width, height, class: className })) node.setAttribute(name, value);
  return node;
}

function showTickets(tickets) {
  byId("tickets").hidden = tickets.length === 0;
  byId("empty").hidden = tickets.length > 0;
  const present = new Set(tickets.map((ticket) => ticket.id));
  for (const [id, row] of rows) {
    if (!present.has(id)) {
      row.remove();
      rows.delete(id);
    }
  }
  const first = rows.size === 0;
  // Oldest first, each put on top: rows that stay are never moved, so focus and selection stay with them.
  for (const ticket of [...tickets].reverse()) {
    if (!rows.has(ticket.id)) {
      const row = newRow(ticket);
      if (!first) row.classList.add("fresh");
      rows.set(ticket.id, row);
      byId("rows").prepend(row);
    }
    fillRow(rows.get(ticket.id), ticket);
  }
}

function newRow(ticket) {
  const row = element("tr");
  const head = element("th");
  head.scope = "row";
  const link = element("a", "", ticket.subject || "(no subject)");
  link.href = `/tickets/${ticket.id}`;
  head.append(link, element("span", "note", `#${ticket.id} · ${ticket.channel}`));
  row.append(head);
  for (const label of [titles.category, titles.predicted, titles.confidence, titles.model, "Seconds"]) {
    const cell = element("td", label === "Seconds" ? "number" : "");
    cell.dataset.label = label;
    row.append(cell);
  }
  return row;
}

function fillRow(row, ticket) {
  const [head, category, predicted, sure, model, seconds] = row.children;
  const deleted = ticket.status === "deleted";
  row.classList.toggle("deleted", deleted);
  setText(head.lastChild, `#${ticket.id} · ${ticket.channel}${ticket.status === "new" ? "" : ` · ${ticket.status}`}`);
  setContent(category, categoryOf(ticket));
  setContent(predicted, valueOf(ticket.fields[titles.predicted]));
  setContent(sure, confidence(ticket.fields[titles.confidence]));
  setContent(model, element("span", ticket.fields[titles.model] ? "mono" : "none", ticket.fields[titles.model] ?? "–"));
  setText(seconds, inSeconds(ticket.seconds));
}

function categoryOf(ticket) {
  if (ticket.category) return chip(ticket.category, "solid");
  const text = ticket.fields[titles.predicted] ? "left to the agent" : "waiting";
  return element("span", ticket.fields[titles.predicted] || ticket.status === "deleted" ? "none" : "pending", text);
}

function valueOf(value) {
  return value ? chip(value, "outline") : element("span", "none", "–");
}

function showWatched(tickets) {
  const ticket = tickets.find((one) => one.id === watched);
  if (!ticket) return;
  byId("latest").hidden = false;
  setText(byId("latest-link"), `#${ticket.id} ${ticket.subject || "(no subject)"}`);
  byId("latest-link").href = `/tickets/${ticket.id}`;
  setText(byId("step-sent"), ticket.attempts > 1 ? `Webhook sent, ${ticket.attempts} attempts` : "Webhook sent");
  setText(byId("step-filled"), ticket.seconds === null ? "Fields filled" : `Fields filled in ${inSeconds(ticket.seconds)}`);
  byId("step-created").className = "done";
  byId("step-sent").className = ticket.last_status === null ? "next" : ticket.last_status < 300 ? "done" : "wrong";
  byId("step-filled").className = ticket.filled_at ? "done" : ticket.sent_at ? "next" : "";
  const shown = [
    [titles.category, categoryOf(ticket)],
    [titles.predicted, valueOf(ticket.fields[titles.predicted])],
    [titles.confidence, confidence(ticket.fields[titles.confidence])],
    [titles.model, element("span", "mono", ticket.fields[titles.model] ?? "–")],
  ];
  const list = byId("latest-fields");
  if (!list.children.length) list.append(...shown.flatMap(([title]) => [element("dt", "", title), element("dd")]));
  shown.forEach(([, content], index) => setContent(list.children[2 * index + 1], content));
}

async function refresh() {
  const [summary, newest] = await Promise.all([getJson("/simulator/summary"), getJson(`/simulator/tickets?limit=${SHOWN}`)]);
  showSummary(summary);
  showTickets(newest.tickets);
  const seen = newest.tickets.some((one) => one.id === watched);
  if (watched !== null && !seen) newest.tickets.push((await getJson(`/simulator/tickets/${watched}`)).ticket);
  showWatched(newest.tickets);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { subject, description, channel } = Object.fromEntries(new FormData(form));
  const category = chosen(form.elements.category);
  const fields = category?.length ? { [titles.category]: category } : {};
  byId("write-error").hidden = true;
  try {
    watched = (await postJson("/simulator/tickets", { subject, description, channel, fields })).id;
    form.reset();
    await refresh();
  } catch (error) {
    setText(byId("write-error"), error.message);
    byId("write-error").hidden = false;
  }
});

for (const example of document.querySelectorAll(".example")) {
  example.addEventListener("click", () => {
    form.elements.subject.value = example.dataset.subject;
    form.elements.description.value = example.dataset.description;
    form.querySelector(".primary").focus();
  });
}

eachSecond(refresh);
