/* Shared by both pages. Ticket text is a stranger's: it enters the page as textContent and in no other way. */

export function element(tag, className = "", text = null) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== null) node.textContent = text;
  return node;
}

/* Writes only what changed, so that a screen reader and a selection are left alone. */
export function setText(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export async function getJson(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(await explanation(answer));
  return answer.json();
}

export async function postJson(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(await explanation(answer));
  return answer.status === 204 ? null : answer.json();
}

async function explanation(answer) {
  const body = await answer.json().catch(() => ({}));
  const details = Object.values(body.details ?? {}).flat();
  return details[0]?.description ?? body.description ?? `the simulator answered ${answer.status}`;
}

/* Runs an action each second while the page is seen; says so when it fails, and when it works again. */
export function eachSecond(action) {
  const trouble = document.getElementById("trouble");
  async function once() {
    if (!document.hidden) {
      try {
        await action();
        trouble.hidden = true;
      } catch (error) {
        setText(trouble, error instanceof TypeError ? "The simulator does not answer. Is it still running?" : error.message);
        trouble.hidden = false;
      }
    }
    setTimeout(once, 1000);
  }
  once();
}

export function inSeconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 10 ? `${value.toFixed(2)} s` : `${value.toFixed(0)} s`;
}

/* The same name always gets the same colour. */
export function chip(name, className) {
  const node = element("span", `chip ${className}`, name);
  node.title = name; // narrow columns cut it off
  let hue = 0;
  for (const letter of String(name)) hue = (hue * 31 + letter.codePointAt(0)) % 360;
  node.style.setProperty("--hue", hue);
  return node;
}

/* A confidence from 0 to 1 as a meter with its number; anything else as it stands. */
export function confidence(value) {
  const share = Number(value);
  if (value === null || value === "" || !Number.isFinite(share) || share < 0 || share > 1) {
    return element("span", value ? "" : "none", value || "–");
  }
  const node = element("span", "confidence");
  const meter = element("span", "meter");
  meter.append(element("span"));
  meter.firstChild.style.setProperty("width", `${share * 100}%`);
  node.append(meter, element("span", "", share.toFixed(2)));
  return node;
}

/* What is chosen in a drop-down: a tag or null; in a multi-select: a list of tags. */
export function chosen(select) {
  return select.multiple ? [...select.selectedOptions].map((option) => option.value) : select.value || null;
}

export function choose(select, value) {
  for (const option of select.options) option.selected = [value ?? ""].flat().includes(option.value);
}

/* Replaces a node's content only when its text changes. */
export function setContent(node, content) {
  if (node.textContent !== content.textContent || !node.firstChild) node.replaceChildren(content);
}
