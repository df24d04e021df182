"use strict";
// What all views share: the model out of the page, the interface texts, the tabs, and bars of probabilities.

const MODEL = JSON.parse(document.getElementById("model").textContent);

const byId = (id) => document.getElementById(id);

// A new element. Texts are always set as text, never as markup.
function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

// ---- the model

function decodeBase64(id) {
  const text = atob(byId(id).textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}

// Numbers of a few bits, one after the other, highest bit first; the middle of their range is 0.
function unpackBits(bytes, bits) {
  const numbers = new Int8Array(Math.floor((8 * bytes.length) / bits));
  let [held, numHeld, at] = [0, 0, 0]; // bits that were read but not used yet
  for (let i = 0; i < numbers.length; i++) {
    if (numHeld < bits) {
      held = ((held << 8) | bytes[at++]) & 0xffff;
      numHeld += 8;
    }
    numHeld -= bits;
    numbers[i] = ((held >> numHeld) & (2 ** bits - 1)) - 2 ** (bits - 1);
  }
  return numbers;
}

// The model; with the suffix "-1" that of epoch 1, and so on, which has no vocabulary of its own and may have fewer bits.
function openModel(suffix = "") {
  const bytes = decodeBase64("codes" + suffix);
  const isPacked = suffix && MODEL.kept_bits < 8;
  const codes = isPacked ? unpackBits(new Uint8Array(bytes), MODEL.kept_bits) : new Int8Array(bytes);
  const floats = new Float32Array(decodeBase64("floats" + suffix));
  const vectors = {};
  for (const [name, { at, length }] of Object.entries(MODEL.vectors)) vectors[name] = floats.subarray(at, at + length);
  const matrices = {};
  for (const [name, matrix] of Object.entries(MODEL.matrices)) {
    const numScales = matrix.rows * Math.ceil(matrix.columns / matrix.block);
    matrices[name] = {
      ...matrix,
      codes: codes.subarray(matrix.codes, matrix.codes + matrix.rows * matrix.columns),
      scales: floats.subarray(matrix.scales, matrix.scales + numScales),
    };
  }
  return { network: new Network(MODEL.shape, matrices, vectors), pieceScores: vectors.piece_scores };
}

const { network, pieceScores } = openModel();
const tokenizer = new Tokenizer(MODEL.vocabulary, pieceScores);

// The ids of a text, after those that start every text.
function encodePrompt(text) {
  return [...MODEL.start_ids, ...tokenizer.encode(text.normalize("NFC"))];
}

const showPiece = (id) => (id === END_ID ? say("end_piece") : tokenizer.show(id));

// ---- the interface texts

let language = navigator.language.startsWith("es") ? "es" : "en";
const redraws = []; // functions that write texts which depend on what is shown

// Numbers as the reader's language writes them.
function showValue(value, digits = Number.isInteger(value) ? 0 : 3) {
  if (typeof value !== "number") return value;
  return value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// The text of a key in the reader's language, with values in place of {name}.
function say(key, values = {}) {
  const known = {
    parameters: MODEL.num_parameters,
    texts: describeTexts(),
    start: MODEL.start_ids.map((id) => tokenizer.show(id)).join(" "),
    version: MODEL.version,
    model_version: MODEL.model_version,
    ...values,
  };
  return MODEL.texts[language][key].replace(/{(\w+)}/g, (match, name) => showValue(known[name] ?? match));
}

// "Don Quijote, Alice in Wonderland and 3 more".
function describeTexts() {
  const texts = MODEL.titles.slice(0, 2).join(", ");
  const count = MODEL.titles.length - 2;
  const more = MODEL.texts[language].more_texts;
  return count > 0 ? more.replace("{count}", count).replace("{texts}", () => texts) : texts;
}

function showTexts() {
  document.title = `${say("title")} · Semilla`;
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = say(element.dataset.text, JSON.parse(element.dataset.values ?? "{}"));
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
  for (const element of document.querySelectorAll("[data-empty-text]")) {
    element.dataset.empty = say(element.dataset.emptyText);
  }
  for (const redraw of redraws) redraw();
}

// "45 %", "0.3 %", "under 0.1 %".
function showShare(share) {
  const digits = share < 0.0995 ? 1 : 0;
  const options = { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits };
  return share < 0.0005 ? "<" + (0.001).toLocaleString(language, options) : share.toLocaleString(language, options);
}

// ---- the tabs: one view at a time, the arrow keys move between them

const tabs = [...document.querySelectorAll("[role=tab]")];

function showView(name) {
  for (const tab of tabs) {
    const isShown = tab.getAttribute("aria-controls") === name;
    tab.setAttribute("aria-selected", isShown);
    tab.tabIndex = isShown ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !isShown;
  }
  if (location.hash.slice(1) !== name) history.replaceState(null, "", "#" + name);
}

function moveTab(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const place = tabs.indexOf(document.activeElement);
  const target = { Home: 0, End: tabs.length - 1 }[event.key] ?? (step && (place + step + tabs.length) % tabs.length);
  if (target === undefined) return;
  event.preventDefault();
  tabs[target].focus();
  showView(tabs[target].getAttribute("aria-controls"));
}

function startTabs() {
  const views = byId("views");
  views.hidden = false;
  views.addEventListener("keydown", moveTab);
  for (const tab of tabs) {
    const view = byId(tab.getAttribute("aria-controls"));
    view.setAttribute("role", "tabpanel");
    view.setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => showView(view.id));
  }
  const names = tabs.map((tab) => tab.getAttribute("aria-controls"));
  const showNamed = () => names.includes(location.hash.slice(1)) && showView(location.hash.slice(1));
  window.addEventListener("hashchange", showNamed);
  showView("talk");
  document.documentElement.classList.add("scripted");
}

// ---- bars

// A list of pieces with a bar as long as each probability. marked is the id of the chosen piece.
function drawBars(list, rows, marked) {
  list.replaceChildren(
    ...rows.map(({ id, share }) => {
      const row = make("li", id === marked ? "marked" : "");
      const bar = make("span", "bar");
      bar.append(make("span", "fill"));
      bar.firstChild.style.width = `${100 * share}%`;
      row.append(make("span", "piece", showPiece(id)), bar, make("span", "share", showShare(share)));
      if (id === marked) row.append(make("span", "note", say("chosen_mark")));
      return row;
    }),
  );
}

// The best pieces for some scores, with their probabilities at a temperature.
function rank(scores, count, temperature = 1) {
  const shares = softmax(scores.map((score) => score / temperature));
  return findBest(shares, count).map((id) => ({ id, share: shares[id] }));
}

// A button for each opening of the text, which puts it into a field.
function offerOpenings(place, field, use) {
  for (const [code, openings] of Object.entries(MODEL.openings)) {
    for (const opening of openings) {
      const button = make("button", "opening", opening);
      button.type = "button";
      button.lang = code;
      button.addEventListener("click", () => {
        field.value = opening;
        field.lang = code;
        use();
      });
      place.append(button, " ");
    }
  }
}

const firstOpening = (MODEL.openings[language] ?? Object.values(MODEL.openings)[0] ?? [])[0] ?? "";

byId("interface").value = language;
byId("interface").addEventListener("change", (event) => {
  language = event.target.value;
  showTexts();
});
