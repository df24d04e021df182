"use strict";
// The view "look inside": the pieces of a sentence, what could come next, and what happens on the way there.

const NUM_BARS = 10;
const NUM_GUESSES = 3;
const MOST_PIECES = 100;
const SQUARE = 8; // pixels of a square in a picture of attention

const inside = { ids: [], isCut: false, attention: [], states: [], head: null, chips: [] };

// Reads the sentence, and keeps for each piece its residual stream after every layer and the attention of every head.
function readSentence() {
  const ids = encodePrompt(byId("sentence").value);
  inside.ids = ids.slice(0, Math.min(MOST_PIECES, network.capacity));
  inside.isCut = inside.ids.length < ids.length;
  inside.states = []; // [position][layer]
  inside.attention = []; // [layer * heads + head][position]
  const cache = network.makeCache();
  inside.ids.forEach((id, position) => {
    const states = [];
    network.read(id, position, cache, {
      layer: (number, x) => states.push(Float32Array.from(x)),
      attention: (layer, head, shares) => (inside.attention[layer * network.heads + head] ??= []).push(shares),
    });
    inside.states.push(states);
  });
  byId("place").max = inside.ids.length;
  byId("place").value = inside.ids.length;
  drawPieces();
  drawHeads();
  showInside();
}

function drawPieces() {
  inside.chips = inside.ids.map((id, position) => {
    const chip = make("span", "chip");
    chip.append(make("span", "piece", tokenizer.show(id)), make("small", "", id));
    chip.dataset.place = position + 1;
    return chip;
  });
  byId("pieces").replaceChildren(...inside.chips);
}

// A picture of attention for each head: a row for each piece, a column for each piece it looks at.
function drawHeads() {
  const size = inside.ids.length;
  const figures = inside.attention.map((rows, index) => {
    const label = make("label", "head");
    const choice = make("input");
    Object.assign(choice, { type: "radio", name: "head", value: index, checked: index === inside.head });
    const picture = make("canvas");
    picture.width = picture.height = size * SQUARE;
    picture.setAttribute("aria-hidden", "true");
    drawAttention(picture, rows);
    const frame = make("span", "picture");
    frame.append(picture, make("span", "row"));
    label.append(choice, make("span", "head-name"), frame, make("span", "looks"));
    return label;
  });
  byId("heads").replaceChildren(...figures);
}

function drawAttention(picture, rows) {
  const paint = picture.getContext("2d");
  rows.forEach((shares, row) => {
    shares.forEach((share, column) => {
      paint.fillStyle = `rgb(78 146 69 / ${0.06 + 0.94 * share})`; // readable on light and on dark
      paint.fillRect(column * SQUARE, row * SQUARE, SQUARE - 1, SQUARE - 1);
    });
  });
}

const currentPosition = () => Math.min(Number(byId("place").value), inside.ids.length) - 1;

// Everything that depends on the chosen piece, head and temperature, and the language.
function showInside() {
  const position = currentPosition();
  const piece = tokenizer.show(inside.ids[position]);
  const count = inside.ids.length;
  byId("place").setAttribute("aria-valuetext", say("place_value", { place: position + 1, count, piece }));
  byId("too-long").hidden = !inside.isCut;
  byId("too-long").textContent = say("too_long", { count });
  byId("next-title").textContent = say("next", { piece });
  showNext();
  showStages(inside.states[position]);
  inside.attention.forEach((rows, index) => showHead(byId("heads").children[index], rows[position], index));
  showChips(position);
}

function showNext() {
  const temperature = Number(byId("bar-temperature").value);
  byId("bar-temperature-value").textContent = temperature.toLocaleString(language);
  drawBars(byId("next"), rank(network.score(inside.states[currentPosition()].at(-1)), NUM_BARS, temperature));
}

function showStages(states) {
  const rows = states.map((state, number) => {
    const row = make("tr");
    const name = make("th", "", number ? say("stage_layer", { number }) : say("stage_embedding"));
    name.scope = "row";
    const guesses = make("td");
    for (const { id, share } of rank(network.score(state), NUM_GUESSES)) {
      const guess = make("span", "guess");
      guess.append(make("span", "piece", showPiece(id)), ` ${showShare(share)}`);
      guesses.append(guess, " ");
    }
    row.append(name, guesses);
    return row;
  });
  byId("stages").replaceChildren(...rows);
}

function showHead(label, shares, index) {
  const layer = Math.floor(index / network.heads) + 1;
  const head = (index % network.heads) + 1;
  const most = shares.indexOf(Math.max(...shares));
  const piece = tokenizer.show(inside.ids[most]);
  label.querySelector(".head-name").textContent = say("head", { layer, head });
  label.querySelector(".looks").textContent = say("looks_at", { piece, share: showShare(shares[most]) });
  const { style } = label.querySelector(".row");
  style.top = `${(100 * (shares.length - 1)) / inside.ids.length}%`;
  style.height = `${100 / inside.ids.length}%`;
  style.width = `${(100 * shares.length) / inside.ids.length}%`;
}

// Marks the chosen piece, and how much the chosen head looks at each piece.
function showChips(position) {
  const shares = inside.head === null ? [] : (inside.attention[inside.head]?.[position] ?? []);
  inside.chips.forEach((chip, place) => {
    chip.classList.toggle("current", place === position);
    chip.style.setProperty("--attention", `${Math.round(38 * (shares[place] ?? 0))}%`);
  });
}

function startInside() {
  byId("sentence").value = firstOpening;
  let waiting;
  byId("sentence").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(readSentence, 150);
  });
  byId("place").addEventListener("input", showInside);
  byId("bar-temperature").addEventListener("input", showNext);
  byId("pieces").addEventListener("click", (event) => {
    const place = event.target.closest("[data-place]")?.dataset.place;
    if (!place) return;
    byId("place").value = place;
    showInside();
  });
  byId("heads").addEventListener("change", (event) => {
    inside.head = Number(event.target.value);
    showChips(currentPosition());
  });
  readSentence();
  redraws.push(showInside);
}

startInside();
