// The ticket sidebar: what Presort suggests, how sure it is, why, and one click to accept or to correct it.
//
// Everything that is shown is put in as text, never as markup: names and words come from tickets and from models.
// Requests go through Zendesk's proxy, which signs them with the app's secret; no browser sees that.
"use strict";

const LIFE_S = 60; // of a token; Presort refuses longer ones
const TEXT_CHARS = 20000; // of subject and description, as much as Presort takes
const WORDS = 6; // shown of those that weighed most
const NOTICEABLE = 0.05; // of the heaviest weight; what is lighter says nothing

// Their descriptions are a line of Zendesk's; what the customer wrote is in the conversation.
const STUB_CHANNELS = ["native_messaging", "chat", "sunshine_conversations_api"];

// From which probability on which word is said.
const LIKELIHOOD = [
  [0.97, "certain"], [0.85, "very_likely"], [0.6, "likely"], [0.35, "possible"], [0.1, "unlikely"], [0, "very_unlikely"],
];

const client = window.ZAFClient.init();
const app = document.getElementById("app");
const news = document.getElementById("news");
let texts = window.PRESORT_TEXTS.en;
let locale = "en";
let ticket; // {id, closed, agentId, apiUrl}

// Texts and elements

function t(key, values = {}) {
  const text = texts[key] ?? window.PRESORT_TEXTS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const button = (text, onclick, more = {}) => element("button", { type: "button", onclick, ...more }, text);
const names = (choices) => choices.map((one) => one.name).join(", ");

function likelihood(probability) {
  if (typeof probability !== "number") return t("unknown_share");
  const [, words] = LIKELIHOOD.find(([from]) => probability >= from);
  const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 }).format(probability);
  return t("confidence", { words: t(words), percent });
}

// Zendesk and Presort

async function get(...paths) {
  const found = await client.get(paths);
  return paths.map((path) => found[path]);
}

async function ask(method, path, body) {
  const options = {
    url: `${ticket.apiUrl}/agent/tickets/${ticket.id}${path}`,
    type: method,
    contentType: "application/json",
    dataType: "json",
    headers: { Authorization: "Bearer {{jwt.token}}" },
    secure: true,
    cors: false,
    jwt: {
      algorithm: "HS256",
      secret_key: "{{setting.shared_secret}}",
      expiry: LIFE_S,
      claims: { aud: "presort", ticket_id: String(ticket.id), agent_id: String(ticket.agentId) },
    },
  };
  if (body) options.data = JSON.stringify(body);
  return client.request(options);
}

// An error's text: Presort's code where there is one, else that nobody answered.
function errorText(error) {
  let answer = error?.responseJSON;
  try {
    answer = answer ?? JSON.parse(error.responseText);
  } catch {
    answer = null; // a proxy's page, or nothing at all
  }
  const key = `error_${answer?.error ?? "unavailable"}`;
  return key in window.PRESORT_TEXTS.en ? t(key) : t("error_failed");
}

async function ticketText() {
  const [subject, description, via] = await get("ticket.subject", "ticket.description", "ticket.via");
  if (!STUB_CHANNELS.includes(via?.channel)) return { subject: cut(subject), description: cut(description) };
  const [conversation] = await get("ticket.conversation");
  const customers = (conversation ?? []).filter((one) => one.author?.role === "end-user");
  return { description: cut(customers.map((one) => one.message?.content ?? "").join("\n")) };
}

const cut = (text) => (text ?? "").slice(0, TEXT_CHARS);

// What an agent does

async function choose(classifier, choices, noted) {
  news.textContent = "";
  const field = `ticket.customField:custom_field_${classifier.field_id}`;
  const options = choices.map((one) => one.option);
  try {
    const done = await client.set(field, classifier.several ? options : options[0]);
    if (Object.keys(done?.errors ?? {}).length) throw new Error("refused");
  } catch {
    news.textContent = t("not_set", { name: names(choices) });
    return;
  }
  news.textContent = t("set", { name: names(choices) });
  try {
    const { recorded, verdict } = await ask("POST", "/feedback", { classifier: classifier.name, into: options });
    // The first answer counts; whoever changes their mind changes the form.
    if (recorded) noted.textContent = notedText(verdict, names(choices));
  } catch (error) {
    news.textContent = `${t("not_noted")} ${errorText(error)}`;
  }
}

const notedText = (verdict, name) => t(verdict === "accepted" ? "noted_accepted" : "noted_corrected", { name });

function notedBefore({ feedback, choices }) {
  if (!feedback) return "";
  const byOption = new Map(choices.map((one) => [one.option, one.name]));
  return notedText(feedback.verdict, feedback.into.map((one) => byOption.get(one) ?? one).join(", "));
}

// What is shown

function show(...children) {
  app.replaceChildren(...children);
  app.removeAttribute("aria-busy");
}

function showError(error, again) {
  const retry = button(t("retry"), async () => {
    await again();
    app.focus();
  });
  show(element("p", { role: "alert", class: "error" }, errorText(error)), retry);
}

function shownClassifier(classifier) {
  const refresh = button(t("refresh"), load);
  if (classifier.state === "waiting") return element("section", {}, element("p", {}, t("waiting")), refresh);
  if (classifier.state === "nothing") return element("section", {}, element("p", {}, t("nothing")), refresh);
  if (classifier.state === "skipped") {
    const key = `skipped_${classifier.why}`;
    const why = key in window.PRESORT_TEXTS.en ? ` ${t(key)}` : "";
    return element("section", {}, element("p", {}, t("skipped") + why));
  }
  const noted = element("p", { class: "muted noted" }, notedBefore(classifier));
  return element(
    "section",
    {},
    element("h1", {}, names(classifier.answers)),
    ...classifier.answers.map((one) => shownLikelihood(one, classifier.answers.length > 1)),
    element("p", { class: "muted" }, t(classifier.sure ? "sure" : "unsure")),
    ...(ticket.closed
      ? [element("p", {}, t("closed")), ...shownAlternatives(classifier, null)]
      : classifier.several
        ? shownBoxes(classifier, noted)
        : [
            element("p", {}, button(t("accept"), () => choose(classifier, classifier.answers, noted), { class: "main" })),
            ...shownAlternatives(classifier, noted),
            shownOthers(classifier, t("use_chosen"), (one) => choose(classifier, [one], noted)),
          ]),
    noted,
    ...shownWhy(classifier),
  );
}

function shownLikelihood(choice, named) {
  const share = Math.round(100 * (choice.probability ?? 0));
  const fill = element("i");
  fill.style.width = `${share}%`;
  const text = (named ? `${choice.name}: ` : "") + likelihood(choice.probability);
  return element("div", {}, element("p", {}, text), element("div", { class: "bar", "aria-hidden": "true" }, fill));
}

function shownAlternatives(classifier, noted) {
  if (!classifier.alternatives.length) return [];
  const rows = classifier.alternatives.map((one) =>
    element(
      "li",
      { class: "row" },
      noted ? button(t("use", { name: one.name }), () => choose(classifier, [one], noted)) : `${one.name}: `,
      element("span", { class: "muted" }, likelihood(one.probability)),
    ),
  );
  return [element("h2", {}, t("could_be")), element("ul", {}, ...rows)];
}

function shownOthers(classifier, text, onchosen) {
  const id = `other-${classifier.name}`;
  const offered = classifier.choices.map((one, at) => element("option", { value: at }, one.name));
  const select = element("select", { id, class: "grow" }, element("option", { value: "" }, t("choose")), ...offered);
  const use = button(text, () => select.value !== "" && onchosen(classifier.choices[select.value]));
  return element("div", {}, element("label", { for: id }, t("other")), element("div", { class: "row" }, select, use));
}

// Several labels: boxes, with what was suggested ticked.
function shownBoxes(classifier, noted) {
  const list = element("ul");
  const boxes = new Map(); // option to {choice, box}
  function add(choice, checked) {
    const known = boxes.get(choice.option);
    if (known) known.box.checked = checked;
    if (known) return;
    const box = element("input", { type: "checkbox", checked });
    const likely = typeof choice.probability === "number" ? ` (${likelihood(choice.probability)})` : "";
    list.append(element("li", { class: "row" }, element("label", {}, box, choice.name + likely)));
    boxes.set(choice.option, { choice, box });
  }
  for (const one of classifier.answers) add(one, true);
  for (const one of classifier.alternatives) add(one, false);
  const ticked = () => [...boxes.values()].filter(({ box }) => box.checked).map(({ choice }) => choice);
  const set = () => ticked().length && choose(classifier, ticked(), noted);
  return [
    list,
    element("p", {}, button(t("accept_all"), set, { class: "main" })),
    shownOthers(classifier, t("add_chosen"), (one) => add(one, true)),
  ];
}

function shownWhy(classifier) {
  const place = element("div", { id: `why-${classifier.name}`, hidden: true });
  const opener = button(t("why"), toggle, { "aria-expanded": "false", "aria-controls": place.id });
  async function toggle() {
    place.hidden = !place.hidden;
    opener.setAttribute("aria-expanded", String(!place.hidden));
    if (place.hidden || place.dataset.done) return;
    place.replaceChildren(element("p", { class: "muted" }, t("loading")));
    opener.disabled = true;
    try {
      const { label } = classifier.answers[0];
      const asked = { classifier: classifier.name, label, ...(await ticketText()) };
      place.replaceChildren(...shownWords(await ask("POST", "/why", asked), label));
      place.dataset.done = "yes";
    } catch (error) {
      place.replaceChildren(element("p", { class: "error", role: "alert" }, errorText(error)));
    }
    opener.disabled = false;
    opener.focus();
  }
  return [opener, place];
}

function shownWords(answer, label) {
  const heaviest = Math.max(0, ...answer.words.map((one) => Math.abs(one.weight)));
  const weighty = answer.words
    .filter((one) => Math.abs(one.weight) > NOTICEABLE * heaviest)
    .sort((one, other) => Math.abs(other.weight) - Math.abs(one.weight))
    .slice(0, WORDS);
  const number = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "always" });
  const rows = weighty.map((one) => {
    const side = one.weight > 0 ? "for" : "against";
    const fill = element("i");
    fill.style.width = `${Math.round((100 * Math.abs(one.weight)) / heaviest)}%`;
    const said = t("weight", { word: one.text, side: t(side), number: number.format(one.weight) });
    return element("li", { class: side }, said, element("div", { class: "bar", "aria-hidden": "true" }, fill));
  });
  const now = answer.labels[0];
  const ms = Math.round(answer.ms);
  return [
    element("p", { class: "muted" }, t("why_about", { name: answer.name ?? "" })),
    now && now.label !== label ? element("p", {}, t("why_now", { name: now.name })) : "",
    rows.length ? element("ul", {}, ...rows) : element("p", {}, t("no_words")),
    element("p", { class: "muted" }, [answer.cut ? t("cut") : "", t("took", { model: answer.model, ms })].join(" ").trim()),
  ];
}

// The beginning

async function load() {
  app.setAttribute("aria-busy", "true");
  news.textContent = "";
  show(element("p", { class: "muted" }, t("loading")));
  try {
    const { classifiers } = await ask("GET", "");
    show(...classifiers.map(shownClassifier));
  } catch (error) {
    showError(error, load);
  }
}

async function start() {
  try {
    const [id, status, agentId, spoken, scheme] = await get(
      "ticket.id", "ticket.status", "currentUser.id", "currentUser.locale", "colorScheme",
    );
    const { settings } = await client.metadata();
    locale = spoken || "en";
    texts = window.PRESORT_TEXTS[locale.slice(0, 2).toLowerCase()] ?? window.PRESORT_TEXTS.en;
    document.documentElement.lang = locale;
    if (scheme) document.documentElement.dataset.scheme = scheme;
    ticket = { id, closed: status === "closed", agentId, apiUrl: settings.api_url.replace(/\/+$/, "") };
  } catch (error) {
    showError(error, start);
    return;
  }
  await load();
}

client.on("colorScheme.changed", (scheme) => {
  document.documentElement.dataset.scheme = scheme;
});
new ResizeObserver(() => {
  client.invoke("resize", { width: "100%", height: `${document.body.scrollHeight}px` });
}).observe(document.body);
start();
