"use strict";
// The view "watch it learn": the samples of one epoch at a time, and the curve of the loss. On paper all epochs are shown.

const CURVE = { width: 600, height: 200, left: 50, right: 15, top: 12, bottom: 28 };

function showEpoch() {
  const epoch = Number(byId("epoch").value);
  for (const item of document.querySelectorAll(".epochs > li")) {
    item.classList.toggle("current", Number(item.dataset.epoch) === epoch);
  }
  byId("epoch").setAttribute("aria-valuetext", say("epoch_value", { epoch, count: MODEL.losses.length }));
  drawCurve(epoch);
}

function makeSvg(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

function drawCurve(epoch) {
  const { width, height, left, right, top, bottom } = CURVE;
  const all = MODEL.losses.flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const last = Math.max(1, MODEL.losses.length - 1);
  const x = (place) => left + (place / last) * (width - left - right);
  const y = (loss) => top + ((high - loss) / (high - low || 1)) * (height - top - bottom);
  const svg = makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": "curve-name" });
  for (const loss of [low, high]) {
    svg.append(makeSvg("line", { x1: left, x2: width - right, y1: y(loss), y2: y(loss), class: "grid" }));
    svg.append(makeSvg("text", { x: left - 6, y: y(loss) + 4, "text-anchor": "end" }, showValue(loss, 2)));
  }
  svg.append(makeSvg("line", { x1: x(epoch - 1), x2: x(epoch - 1), y1: top, y2: height - bottom, class: "cursor" }));
  ["training", "validation"].forEach((name, series) => {
    const points = MODEL.losses.map((losses, place) => `${x(place)},${y(losses[series])}`).join(" ");
    svg.append(makeSvg("polyline", { points, class: name }));
    svg.append(makeSvg("circle", { cx: x(epoch - 1), cy: y(MODEL.losses[epoch - 1][series]), r: 4, class: name }));
  });
  const ticks = [...new Set([1, epoch, MODEL.losses.length])];
  for (const tick of ticks) {
    svg.append(makeSvg("text", { x: x(tick - 1), y: height - 6, "text-anchor": "middle" }, tick));
  }
  const figure = byId("curve");
  figure.querySelector("svg[role=img]")?.remove();
  figure.append(svg);
}

if (MODEL.losses.length) {
  byId("epoch").addEventListener("input", showEpoch);
  byId("epoch").value = MODEL.losses.length;
  redraws.push(showEpoch);
}

startTabs();
showTexts();
