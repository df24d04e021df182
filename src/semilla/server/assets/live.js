// Follows a run: draws what the server's events say. Texts are set as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const live = byId("live");
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 440, LEFT = 46, RIGHT = 428, TOP = 12, BOTTOM = 205;
let losses = [];
let axis = live.dataset.axis;
let followsEnd = true; // the cursor stays at the newest value until it is moved
let shownEpoch = null;

function make(name, text, attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) if (value) element.setAttribute(key, value);
  return element;
}

function draw(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  byId("curve").append(element);
}

// Round numbers between two limits, about five of them.
function chooseTicks(low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.999);
  const ticks = [];
  for (let index = Math.ceil(low / step); index * step <= high + step * 1e-6; index++) ticks.push(index * step);
  return ticks;
}

function drawCurve() {
  const curve = byId("curve");
  curve.replaceChildren();
  if (losses.length < 2) {
    draw("text", { class: "tick", x: LEFT, y: 60 }, "The curve begins with the training.");
    return;
  }
  const values = losses.map(([, loss]) => loss);
  let low = Math.min(...values), high = Math.max(...values);
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  const [first, last] = [losses[0][0], losses[losses.length - 1][0]];
  const placeX = (step) => LEFT + ((step - first) / (last - first || 1)) * (RIGHT - LEFT);
  const placeY = (loss) => BOTTOM - ((loss - low) / (high - low)) * (BOTTOM - TOP);
  for (const tick of chooseTicks(low, high)) {
    draw("line", { class: "grid", x1: LEFT, x2: RIGHT, y1: placeY(tick), y2: placeY(tick) });
    draw("text", { class: "tick", x: LEFT - 8, y: placeY(tick) + 4, "text-anchor": "end" }, String(+tick.toPrecision(4)));
  }
  for (const tick of chooseTicks(first, last).filter(Number.isInteger)) {
    draw("text", { class: "tick", x: placeX(tick), y: BOTTOM + 18, "text-anchor": "middle" }, tick.toLocaleString("en"));
  }
  draw("text", { class: "tick", x: RIGHT, y: BOTTOM + 34, "text-anchor": "end" }, axis);
  const points = losses.map(([step, loss]) => `${placeX(step).toFixed(1)},${placeY(loss).toFixed(1)}`).join(" ");
  draw("polyline", { class: "line", points });
  const [step, loss] = losses[Number(byId("cursor").value)];
  draw("line", { class: "cursor", x1: placeX(step), x2: placeX(step), y1: TOP, y2: BOTTOM });
  draw("circle", { class: "dot", cx: placeX(step), cy: placeY(loss), r: 4 });
  byId("reading").textContent = `${axis} ${step.toLocaleString("en")}: ${loss.toFixed(3)} nats per token`;
  byId("cursor").setAttribute("aria-valuetext", byId("reading").textContent);
  const [begin, end] = [losses[0][1], losses[losses.length - 1][1]];
  curve.setAttribute("aria-label", `Training loss by ${axis}, from ${begin.toFixed(3)} to ${end.toFixed(3)} nats per token`);
}

function showLosses(found) {
  losses = found;
  const cursor = byId("cursor");
  cursor.max = Math.max(losses.length - 1, 0);
  cursor.disabled = losses.length < 2;
  if (followsEnd || Number(cursor.value) >= losses.length) cursor.value = cursor.max;
  drawCurve();
}

function showSamples(samples) {
  const newest = samples.length ? samples[0].epoch : 0;
  if (newest === shownEpoch || !samples.length) return;
  shownEpoch = newest;
  byId("samples").replaceChildren();
  for (const epoch of samples) {
    byId("samples").append(make("h3", `Epoch ${epoch.epoch}`));
    for (const sample of epoch.texts) {
      const quote = make("blockquote", "", { lang: sample.lang });
      quote.append(make("b", sample.prompt), sample.text);
      byId("samples").append(quote);
    }
  }
}

function show(run) {
  byId("state").textContent = run.state;
  byId("state").className = `state ${run.state}`;
  byId("error").hidden = !run.error;
  byId("error").textContent = run.error || "";
  if (!run.phases) return;
  axis = run.axis;
  byId("activity").textContent = run.activity;
  byId("share").hidden = run.share === null;
  byId("share").value = run.share || 0;
  byId("figures").replaceChildren(...run.figures.map(([name, value]) => {
    const group = make("div", "");
    group.append(make("dt", name), make("dd", value));
    return group;
  }));
  byId("phases").replaceChildren(...run.phases.map((phase) => {
    const row = make("tr", "");
    row.append(make("th", phase.name, { scope: "row" }), make("td", phase.outcome), make("td", phase.spent));
    return row;
  }));
  showLosses(run.losses);
  showSamples(run.samples);
}

byId("cursor").addEventListener("input", () => {
  followsEnd = byId("cursor").value === byId("cursor").max;
  drawCurve();
});
byId("curve").addEventListener("pointermove", (event) => {
  if (losses.length < 2) return;
  const box = byId("curve").getBoundingClientRect();
  const place = ((event.clientX - box.left) / box.width) * WIDTH;
  const share = Math.min(1, Math.max(0, (place - LEFT) / (RIGHT - LEFT)));
  byId("cursor").value = Math.round(share * (losses.length - 1));
  followsEnd = byId("cursor").value === byId("cursor").max;
  drawCurve();
});

const events = new EventSource(live.dataset.source);
events.addEventListener("message", (event) => {
  byId("connection").textContent = "";
  show(JSON.parse(event.data));
});
events.addEventListener("end", () => events.close());
events.addEventListener("error", () => {
  if (events.readyState !== EventSource.CLOSED) byId("connection").textContent = "The server does not answer; trying again.";
});
