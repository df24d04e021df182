"use strict";
// The view "watch it learn": a beginning continued by the models of several epochs, if the run kept them; the samples of
// one epoch at a time, of which paper shows all; and the curve of the loss.

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

// ---- a beginning, continued by each model

const CONTINUED_TOKENS = 60;
const continuing = { networks: new Map(), request: 0, seed: 1n, status: null };

// The network of an epoch; the best one is the model itself.
function openEpoch(epoch) {
  if (epoch === MODEL.best_epoch) return network;
  if (!continuing.networks.has(epoch)) continuing.networks.set(epoch, openModel(`-${epoch}`).network);
  return continuing.networks.get(epoch);
}

// Continues the beginning with one model after the other, until another request comes.
async function continueAll() {
  const request = ++continuing.request;
  const prompt = byId("learn-prompt").value;
  const epochs = [...new Set([...MODEL.kept_epochs, MODEL.best_epoch])].sort((a, b) => a - b);
  const texts = epochs.map(addContinuation(prompt));
  continuing.status = { key: "writing" };
  showContinuing();
  for (const [place, epoch] of epochs.entries()) {
    await continueWith(openEpoch(epoch), prompt, texts[place], () => request !== continuing.request);
    if (request !== continuing.request) return;
  }
  continuing.status = { key: "continued", values: { count: epochs.length, seed: continuing.seed } };
  showContinuing();
}

// Empties the list, and returns what adds the item of an epoch to it: a heading, and a text to write into.
function addContinuation(prompt) {
  const list = byId("continuations");
  list.replaceChildren();
  return (epoch) => {
    const item = make("li");
    const [train, loss] = MODEL.losses[epoch - 1];
    const title = make("h3");
    title.dataset.text = "epoch_loss";
    title.dataset.values = JSON.stringify({ epoch, loss, train });
    title.textContent = say("epoch_loss", { epoch, loss, train });
    const quote = make("blockquote");
    quote.lang = byId("learn-prompt").lang;
    const text = document.createTextNode("");
    quote.append(make("b", "", prompt), text);
    item.append(title, quote);
    list.append(item);
    return text;
  };
}

async function continueWith(model, prompt, text, isOver) {
  const decoder = new PieceDecoder(tokenizer);
  const settings = { ...MODEL.settings, max_tokens: CONTINUED_TOKENS };
  let drawn = performance.now();
  for (const { id } of generate(model, encodePrompt(prompt), settings, continuing.seed)) {
    if (id === END_ID) return;
    text.appendData(decoder.push(id));
    if (performance.now() - drawn > BUSY_MS) {
      await new Promise((resume) => setTimeout(resume));
      drawn = performance.now();
      if (isOver()) return;
    }
  }
  text.appendData("…");
}

function showContinuing() {
  const { status } = continuing;
  byId("learn-status").textContent = status ? say(status.key, status.values) : "";
}

if (MODEL.kept_epochs.length) {
  byId("learn-prompt").value = firstOpening;
  byId("learn-form").addEventListener("submit", (event) => {
    event.preventDefault();
    continueAll();
  });
  byId("learn-another").addEventListener("click", () => {
    continuing.seed++;
    continueAll();
  });
  offerOpenings(byId("learn-openings"), byId("learn-prompt"), continueAll);
  redraws.push(showContinuing);
}

// ---- the recorded samples and the curve

if (MODEL.losses.length) {
  byId("epoch").addEventListener("input", showEpoch);
  byId("epoch").value = MODEL.losses.length;
  redraws.push(showEpoch);
}

startTabs();
showTexts();
