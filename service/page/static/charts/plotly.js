// Plotly's script from the service, loaded when the first chart is drawn, and what all charts share.

import { element, freshId } from "../elements.js";
import { colour } from "../parts/theme.js";

let loading = null;

function loadPlotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = element("script", { src: "/page/plotly.js" });
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => { loading = null; reject(new Error("Plotly's script could not be loaded")); });
    document.head.append(script);
  });
  return loading;
}

// A place of fixed height for a chart; `draw(figure)` with {data, layout} replaces what it shows. With `named`, the
// series are named below it.
export function chartPlace({ label, size = "", empty = "Nothing to draw yet.", named = false }) {
  const wait = element("div", { class: "chart-wait" }, "Loading …");
  const plot = element("div", { class: `chart ${size}`, role: "img", "aria-label": label, id: freshId("chart") }, wait);
  let drawn = null;
  let listeners = [];
  let latest = 0;
  const names = element("div");
  const api = {
    node: named ? element("div", {}, plot, names) : plot,
    plot,
    on(name, listener) { listeners.push([name, listener]); },
    async draw({ data, layout = {} }) {
      latest += 1;
      const mine = latest;
      if (data.length === 0 || data.every((trace) => trace.x.length === 0)) {
        wait.textContent = empty;
        if (drawn === null && !plot.contains(wait)) plot.append(wait);
        return;
      }
      try {
        const Plotly = await loadPlotly();
        await visible(plot);
        if (mine !== latest) return;
        wait.remove();
        await Plotly.react(plot, data, { ...baseLayout(), ...mergeAxes(layout) }, { displaylogo: false, responsive: true, displayModeBar: false, scrollZoom: false });
        if (drawn === null) for (const [name, listener] of listeners) plot.on(name, listener);
        drawn = data;
        if (named) names.replaceChildren(legend(data.filter((trace) => trace.name).map(entryOf)));
      } catch (error) {
        wait.textContent = error.message;
        plot.append(wait);
      }
    },
    async image(format) {
      const Plotly = await loadPlotly();
      const url = await Plotly.toImage(plot, { format, width: 1200, height: 750, scale: format === "png" ? 2 : 1 });
      return blobOf(url);
    },
  };
  return api;
}

function visible(node) {
  if (node.isConnected) return Promise.resolve();
  return new Promise((resolve) => { document.getElementById("main").addEventListener("drawn", resolve, { once: true }); });
}

function blobOf(url) {
  const comma = url.indexOf(",");
  const head = url.slice(5, comma);
  const bytes = head.endsWith(";base64")
    ? Uint8Array.from(atob(url.slice(comma + 1)), (letter) => letter.charCodeAt(0))
    : new TextEncoder().encode(decodeURIComponent(url.slice(comma + 1)));
  return new Blob([bytes], { type: head.replace(";base64", "") });
}

function baseLayout() {
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 13, color: colour("text") },
    margin: { l: 64, r: 16, t: 12, b: 52 },
    hovermode: "closest",
    showlegend: false,
    hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("line-strong"), font: { color: colour("text"), size: 12.5 }, align: "left" },
    uirevision: "kept",
    dragmode: "zoom",
  };
}

export function axis(title, more = {}) {
  return {
    title: { text: title, standoff: 8 },
    gridcolor: colour("grid"),
    zerolinecolor: colour("line"),
    linecolor: colour("line-strong"),
    tickcolor: colour("line-strong"),
    automargin: true,
    ...more,
  };
}

function mergeAxes(layout) {
  return { ...layout, xaxis: layout.xaxis ?? axis(""), yaxis: layout.yaxis ?? axis("") };
}

const SHAPES = {
  circle: '<circle cx="7" cy="7" r="4.5" fill="C"/>',
  dot: '<circle cx="7" cy="7" r="2.5" fill="C"/>',
  diamond: '<path d="M7 1.5 12.5 7 7 12.5 1.5 7z" fill="C"/>',
  "diamond-open": '<path d="M7 1.5 12.5 7 7 12.5 1.5 7z" fill="none" stroke="C" stroke-width="1.7"/>',
  "star-open": '<path d="M7 1l1.8 4 4.2.4-3.2 2.9 1 4.2L7 10.3 3.2 12.5l1-4.2L1 5.4 5.2 5z" fill="none" stroke="C" stroke-width="1.4"/>',
  "triangle-open": '<path d="M7 2 12.500 12H1.500z" fill="none" stroke="C" stroke-width="1.7"/>',
  square: '<rect x="2.5" y="2.5" width="9" height="9" fill="C"/>',
  star: '<path d="M7 1l1.8 4 4.2.4-3.2 2.9 1 4.2L7 10.3 3.2 12.5l1-4.2L1 5.4 5.2 5z" fill="C"/>',
  triangle: '<path d="M7 1.500 13 12.500H1z" fill="C"/>',
  line: '<path d="M0 7h14" stroke="C" stroke-width="2" stroke-dasharray="4 2.500"/>',
  solid: '<path d="M0 7h14" stroke="C" stroke-width="2"/>',
  cross: '<path d="M2 5h3V2h4v3h3v4H9v3H5V9H2z" fill="C"/>',
  hexagon: '<path d="M4 2h6l3 5-3 5H4L1 7z" fill="C"/>',
  ring: '<circle cx="7" cy="7" r="5" fill="none" stroke="C" stroke-width="2"/>',
};

// A legend of our own: readable by assistive technology, and it wraps on narrow screens.
export function legend(entries) {
  return element("div", { class: "legend" }, entries.map(({ shape, tone, fill, text }) => {
    const mark = element("span", { "aria-hidden": "true" });
    mark.innerHTML = `<svg width="14" height="14" viewBox="0 0 14 14">${(SHAPES[shape] ?? SHAPES.circle).replaceAll('"C"', `"${fill ?? `var(--${tone})`}"`)}</svg>`;
    return element("span", {}, mark, text);
  }));
}

const SYMBOL_SHAPES = { "circle-open": "ring", "triangle-up": "triangle", x: "cross" };

function entryOf(trace) {
  const marker = trace.marker ?? {};
  const fill = typeof marker.color === "string" ? marker.color : trace.line?.color;
  const dashed = trace.line?.dash === "dash";
  const shape = trace.type === "bar" ? "square" : trace.mode === "lines" ? (dashed ? "line" : "solid") : (SYMBOL_SHAPES[marker.symbol] ?? marker.symbol ?? "circle");
  return { shape, fill, text: trace.name };
}
