import { chip, choose, chosen, confidence, eachSecond, element, getJson, inSeconds, postJson, setContent, setText } from "./common.js";

const titles = document.body.dataset;
const path = `/simulator/tickets/${titles.ticket}`;
const form = document.getElementById("agent");
const byId = (id) => document.getElementById(id);
const NOTHING = "nothing";
let shownHistory = 0;

function clock(unixSeconds) {
  return new Date(unixSeconds * 1000).toLocaleTimeString("en-GB");
}

function definitions(list, pairs) {
  if (list.children.length !== 2 * pairs.length) {
    list.replaceChildren(...pairs.flatMap(([title]) => [element("dt", "", title), element("dd")]));
  }
  pairs.forEach(([, content], index) => setContent(list.children[2 * index + 1], content));
}

function valueOf(ticket, title) {
  const value = ticket.fields[title];
  if (title === titles.category && ticket.category) return chip(ticket.category, "solid");
  if (title === titles.confidence) return confidence(value);
  if (title === titles.predicted && value) return chip(value, "outline");
  return element("span", value ? (title === titles.model ? "mono" : "") : "none", value ? plain(value) : "–");
}

function plain(value) {
  if (value === null || value === undefined || value === "" || value.length === 0) return NOTHING;
  return Array.isArray(value) ? value.join(", ") : String(value);
}

function entry(audit, index, all) {
  const isFirst = index === all.length - 1;
  const item = element("li", audit.by === "Presort" ? "ours" : "");
  const head = element("p", "who");
  head.append(element("strong", "", audit.by), element("span", "note", `${clock(audit.at)}, via ${audit.channel}`));
  item.append(head);
  const changes = element("ul");
  for (const { field, from, to } of audit.changes) {
    const change = element("li");
    change.append(element("span", "field", field));
    if (plain(from) !== NOTHING) change.append(element("span", "from", plain(from)));
    change.append(element("span", "to", plain(to)));
    changes.append(change);
  }
  if (!audit.changes.length) changes.append(element("li", "none", isFirst ? "wrote the ticket" : "changed nothing"));
  item.append(changes);
  const metadata = Object.entries(audit.metadata);
  if (metadata.length) {
    item.append(element("p", "mono metadata", metadata.map(([name, value]) => `${name}: ${plain(value)}`).join("  ")));
  }
  return item;
}

async function refresh() {
  const { ticket } = await getJson(path);
  setText(byId("subject"), ticket.subject || "(no subject)");
  setText(byId("description"), ticket.description);
  setText(byId("status"), ticket.status);
  setText(byId("channel"), ticket.channel);
  setText(byId("created"), clock(ticket.created_at));
  byId("created").dateTime = ticket.created;
  definitions(byId("fields"), Object.keys(ticket.fields).map((title) => [title, valueOf(ticket, title)]));
  setText(byId("tags"), ticket.tags.length ? `Tags: ${ticket.tags.join(", ")}` : "No tags");
  const again = ticket.attempts > 1 ? `, ${ticket.attempts} attempts` : "";
  const sent = ticket.sent_at ? `${clock(ticket.sent_at)}${again}` : "not yet";
  definitions(byId("webhook"), [
    ["Sent", element("span", "", sent)],
    ["Receiver answered", element("span", "", ticket.last_status ?? (ticket.sent_at ? "not" : "–"))],
    ["To Presort's update", element("span", "", inSeconds(ticket.seconds))],
  ]);
  if (shownHistory === 0) choose(form.elements.category, ticket.fields[titles.category]);
  if (shownHistory !== ticket.history.length) {
    shownHistory = ticket.history.length;
    byId("history").replaceChildren(...ticket.history.map(entry));
  }
}

async function act(what, body) {
  byId("agent-error").hidden = true;
  try {
    await postJson(`${path}/${what}`, body);
    if (what === "delete") window.location.assign("/");
    else await refresh();
  } catch (error) {
    setText(byId("agent-error"), error.message);
    byId("agent-error").hidden = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  act("agent", { [titles.category]: chosen(form.elements.category) });
});
byId("close").addEventListener("click", () => act("close", {}));
byId("delete").addEventListener("click", () => act("delete", {}));

eachSecond(refresh);
