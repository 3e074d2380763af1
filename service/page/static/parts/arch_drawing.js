// An architecture as a row of blocks: one column for each stage, one box for each block, its width by its expansion and
// its height by its kernel. Axes that belong to no block stand before them.

import { element, svgElement } from "../elements.js";

const BOX = 84;
const GAP = 10;
const ROW = 58;
const NARROWEST = 124; // the stage's name stands above it

export function archDrawing(arch) {
  const { general, stages } = groupsOf(arch);
  const general_ = element("div", { class: "facts" }, Object.entries(general).map(([name, choice]) => element("span", {}, `${name.replaceAll("_", " ")} `, element("b", {}, String(choice)))));
  if (stages.size === 0) return general_;
  return element("div", {}, general_, element("div", { class: "arch", tabindex: "0", role: "region", "aria-label": "Drawing of the stages" }, drawing(stages)), blockList(stages));
}

// `stage1.block2.kernel` belongs to block 2 of stage 1; `stage1.depth` to the stage; `resolution` to the net.
function groupsOf(arch) {
  const general = {};
  const stages = new Map();
  for (const [name, choice] of Object.entries(arch)) {
    const parts = name.split(".");
    if (parts.length < 2) {
      general[name] = choice;
      continue;
    }
    const stage = stages.get(parts[0]) ?? { facts: {}, blocks: new Map() };
    stages.set(parts[0], stage);
    if (parts.length === 2) stage.facts[parts[1]] = choice;
    else {
      const block = stage.blocks.get(parts[1]) ?? {};
      stage.blocks.set(parts[1], block);
      block[parts.slice(2).join(".")] = choice;
    }
  }
  return { general, stages };
}

function drawing(stages) {
  const most = Math.max(...[...stages.values()].flatMap((stage) => [...stage.blocks.values()].map((block) => Number(block.expand) || 1)), 1);
  const parts = [];
  let x = 0;
  let height = 0;
  for (const [name, stage] of stages) {
    const blocks = [...stage.blocks];
    const width = Math.max(Math.max(blocks.length, 1) * (BOX + GAP) + GAP, NARROWEST);
    parts.push(svgElement("rect", { x, y: 22, width, height: ROW + 2 * GAP, rx: 8, fill: "var(--raised)", stroke: "var(--line)" }));
    parts.push(svgElement("text", { x: x + 2, y: 14, "font-weight": 600 }, `${name}${stage.facts.depth === undefined ? "" : `, depth ${stage.facts.depth}`}`));
    blocks.forEach(([blockName, block], index) => parts.push(blockBox(blockName, block, x + GAP + index * (BOX + GAP), 22 + GAP, most)));
    x += width + 2 * GAP;
    height = 22 + ROW + 2 * GAP + 2;
  }
  const total = x - 2 * GAP;
  return svgElement("svg", { viewBox: `0 0 ${total} ${height}`, width: total, height, role: "img", "aria-label": "Stages and blocks", style: `min-width:${total}px` }, parts);
}

function blockBox(name, block, x, y, most) {
  const kernel = Number(block.kernel) || 3;
  const high = Math.min(26 + 4 * kernel, ROW);
  const share = Math.max((Number(block.expand) || most) / most, 0.25);
  const top = y + (ROW - high) / 2;
  const words = [block.expand !== undefined && `×${block.expand}`, block.kernel !== undefined && `${block.kernel}×${block.kernel}`].filter(Boolean);
  const lines = words.length > 0 ? words : Object.entries(block).slice(0, 2).map(([key, choice]) => `${key} ${choice}`);
  return svgElement(
    "g",
    {},
    svgElement("title", {}, `${name}: ${Object.entries(block).map(([key, choice]) => `${key} ${choice}`).join(", ")}`),
    svgElement("rect", { x, y: top, width: BOX, height: high, rx: 6, fill: "var(--surface)", stroke: "var(--line-strong)" }),
    svgElement("rect", { x, y: top + high - 5, width: BOX * share, height: 5, fill: "var(--accent)" }),
    lines.map((line, index) => svgElement("text", { x: x + BOX / 2, y: y + ROW / 2 + (index - (lines.length - 1) / 2) * 15 + 2, "text-anchor": "middle" }, line)),
  );
}

function blockList(stages) {
  const words = [...stages].map(([name, stage]) => `${name}: ${[...stage.blocks].map(([block, facts]) => `${block} ${Object.entries(facts).map(([key, choice]) => `${key} ${choice}`).join(" ")}`).join("; ")}`);
  return element("details", {}, element("summary", { class: "quiet" }, "In words"), element("ul", {}, words.map((line) => element("li", {}, line))));
}
