/* Draws `[data-figure]`: a Plotly figure in JSON, whose colours are names of the style sheet's ("--bar"). */

import { ask, every, failed } from "./live.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

function coloured(value, style) {
  if (typeof value === "string") return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
  if (Array.isArray(value)) return value.map((one) => coloured(one, style));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, coloured(one, style)]));
  }
  return value;
}

function layout(given, style, narrow) {
  const axis = { gridcolor: "--line", linecolor: "--line", zerolinecolor: "--line", fixedrange: narrow, automargin: true };
  const common = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.getPropertyValue("font-family"), size: 13, color: "--ink" },
    margin: { l: 48, r: 12, t: given.annotations?.length ? 14 * given.annotations.length + 12 : 12, b: 48 },
    showlegend: false,
    hoverlabel: { bgcolor: "--card", bordercolor: "--line", font: { color: "--ink" } },
    height: narrow ? 260 : 320,
    ...given,
    xaxis: { ...axis, nticks: narrow ? 4 : 9, tickangle: 0, ...given.xaxis },
    yaxis: { ...axis, ...given.yaxis },
  };
  return coloured(common, style);
}

/* In HTML, where it wraps; Plotly's own lies over a narrow chart. */
function keys(place, figure, style) {
  const items = figure.data.filter((one) => one.name).map((one) => {
    const item = document.createElement("li");
    item.textContent = one.name;
    item.className = one.line?.dash ? "line" : "area";
    item.style.setProperty("--key", style.getPropertyValue(one.fillcolor ?? one.marker?.color ?? one.line?.color));
    return item;
  });
  place.querySelector(".keys").replaceChildren(...items);
}

function draw(place, figure) {
  const plot = place.querySelector(".plot");
  const style = getComputedStyle(document.body);
  plot.querySelector(".loading")?.remove();
  keys(place, figure, style);
  const options = { displayModeBar: false, responsive: true, staticPlot: false, doubleClick: "reset" };
  return Plotly.react(plot, coloured(figure.data, style), layout(figure.layout, style, plot.clientWidth < 560), options);
}

for (const place of document.querySelectorAll("[data-figure]")) {
  let figure = null;
  const again = async () => {
    figure = await (await ask(place.dataset.figure)).json();
    const words = place.querySelector("[data-text]");
    if (words.textContent !== figure.text) words.textContent = figure.text;
    place.querySelector(".plot").setAttribute("aria-label", figure.text);
    await draw(place, figure);
  };
  again().catch((error) => {
    const loading = place.querySelector(".loading");
    if (loading) loading.textContent = "The chart could not be loaded.";
    failed(error.message);
  });
  if (Number(place.dataset.every)) every(Number(place.dataset.every), again);
  dark.addEventListener("change", () => figure && draw(place, figure));
}
