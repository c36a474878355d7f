/* Fetches `[data-live]` again every `data-every` seconds while the page is seen. */

const trouble = document.getElementById("trouble");

export function failed(text) {
  if (trouble.textContent !== text) trouble.textContent = text;
  trouble.hidden = !text;
}

/* Throws an Error with words for people. */
export async function ask(address) {
  let answer;
  try {
    answer = await fetch(address, { headers: { "X-Requested-With": "fetch" } });
  } catch {
    throw new Error("The console does not answer: what you see is old.");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(`${told.title ?? "The console cannot say"}: what you see is old. ${answer.status === 401 ? told.text : ""}`);
  }
  return answer;
}

/* Runs an action every so many seconds while the page is seen, and at once when it is seen again. */
export function every(seconds, action) {
  let timer;
  async function once() {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      await action();
      failed("");
    } catch (error) {
      failed(error.message);
    }
    clearTimeout(timer);
    timer = setTimeout(once, seconds * 1000);
  }
  document.addEventListener("visibilitychange", once);
  timer = setTimeout(once, seconds * 1000);
}

for (const place of document.querySelectorAll("[data-live]")) {
  let shown = "";
  every(Number(place.dataset.every), async () => {
    const html = await (await ask(place.dataset.live)).text();
    // Nothing moves under the keyboard: who stands on a link or a button there sees the next one.
    if (html === shown || (place.contains(document.activeElement) && document.activeElement.matches("a, button, input, select"))) return;
    shown = html;
    const scrolled = place.querySelector(".scroll")?.scrollLeft ?? 0;
    place.innerHTML = html; // the server's own template, which escapes whatever it is given
    const scroll = place.querySelector(".scroll");
    if (scroll) scroll.scrollLeft = scrolled;
  });
}
