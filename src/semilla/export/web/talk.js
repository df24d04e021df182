"use strict";
// The view "talk": the model continues a text. Every piece shows what else could have been there.

const NUM_ALTERNATIVES = 8;
const BUSY_MS = 30; // how long the model writes before the page is drawn again

const talk = { pieces: [], stopped: false, writing: false, report: null, error: null };

const textField = (name) => byId(name).value.trim().replace(",", ".");

// The settings of the form. Throws an Error that names the first one that is out of range.
function readSettings() {
  const settings = { temperature: Number(byId("temperature").value) };
  for (const name of ["top_k", "max_tokens", "top_p", "repetition_penalty", "seed"]) {
    const { min, max } = byId(name).dataset;
    const isWhole = name !== "top_p" && name !== "repetition_penalty";
    const text = textField(name);
    const isNumber = isWhole ? /^\d{1,19}$/.test(text) : /^\d*\.?\d+$/.test(text);
    const value = isNumber && (name === "seed" ? BigInt(text) : Number(text));
    byId(name).setAttribute("aria-invalid", !isNumber || value < min || value > max);
    if (byId(name).getAttribute("aria-invalid") === "true") {
      byId(name).closest("details")?.setAttribute("open", "");
      byId(name).focus();
      const label = document.querySelector(`label[for=${name}]`).textContent;
      throw new Error(say("bad_number", { name: label, min, max }));
    }
    settings[name] = value;
  }
  return settings;
}

// Writes a text, and lets the browser draw every few pieces.
async function write() {
  if (talk.writing) return;
  Object.assign(talk, { pieces: [], stopped: false, report: null, error: null });
  byId("text").replaceChildren();
  try {
    const settings = readSettings();
    talk.writing = true;
    showTalk();
    const prompt = byId("prompt").value;
    byId("text").lang = byId("prompt").lang;
    byId("text").append(make("span", "prompt", prompt));
    await writePieces(encodePrompt(prompt), settings);
  } catch (error) {
    talk.error = error.message;
  }
  talk.writing = false;
  showTalk();
}

async function writePieces(ids, settings) {
  const decoder = new PieceDecoder(tokenizer);
  const start = performance.now();
  let drawn = start;
  let hasEnded = false;
  for (const { id, scores } of generate(network, ids, settings, settings.seed)) {
    hasEnded = id === END_ID;
    addPiece(id, scores, hasEnded ? "" : decoder.push(id));
    if (performance.now() - drawn > BUSY_MS) {
      await new Promise((resume) => setTimeout(resume));
      drawn = performance.now();
    }
    if (talk.stopped) break;
  }
  const seconds = (performance.now() - start) / 1000;
  const count = talk.pieces.length - hasEnded;
  const key = hasEnded ? "ended" : talk.stopped ? "stopped" : "cut";
  talk.report = { key, count, seconds, rate: count / seconds, seed: settings.seed };
}

// Adds a piece to the text, marked by how unlikely it was, and keeps its alternatives.
function addPiece(id, scores, text) {
  const shares = softmax(Float32Array.from(scores));
  const best = findBest(shares, NUM_ALTERNATIVES).map((one) => ({ id: one, share: shares[one] }));
  const word = text.trimStart(); // a mark under a space would seem to belong to the piece before
  const span = make("span", `written rare${Math.min(4, Math.floor(-Math.log2(shares[id]) / 2))}`, word || text);
  talk.pieces.push({ id, share: shares[id], best, span });
  span.dataset.place = talk.pieces.length;
  byId("text").append(word && text.slice(0, text.length - word.length), span);
}

function showTalk() {
  // Not `disabled`: a button that is would lose the keyboard's focus.
  for (const name of ["write", "another"]) byId(name).setAttribute("aria-disabled", talk.writing);
  byId("stop").setAttribute("aria-disabled", !talk.writing);
  byId("talk-status").textContent = describeTalk();
  byId("choice").hidden = talk.writing || !talk.pieces.length;
  byId("piece").max = Math.max(1, talk.pieces.length);
  if (!byId("choice").hidden) showChoice();
}

function describeTalk() {
  if (talk.error) return say("failed", { problem: talk.error });
  if (talk.writing) return say("writing");
  if (!talk.report) return "";
  const { key, count, seconds, rate, seed } = talk.report;
  return say(key, { count, seconds: showValue(seconds, 1), rate: Math.round(rate), seed });
}

// Shows the piece that the slider points at.
function showChoice() {
  const place = Number(byId("piece").value);
  const { id, share, best, span } = talk.pieces[Math.min(place, talk.pieces.length) - 1];
  for (const { span: one } of talk.pieces) one.classList.toggle("current", one === span);
  const values = { place, count: talk.pieces.length, piece: showPiece(id), share: showShare(share) };
  byId("chosen").textContent = say("chosen", values);
  byId("piece").setAttribute("aria-valuetext", say("piece_value", values));
  const isListed = best.some((one) => one.id === id);
  drawBars(byId("alternatives"), isListed ? best : [...best, { id, share }], id);
}

function pointAt(event) {
  const place = event.target.dataset?.place;
  if (!place || byId("choice").hidden) return;
  byId("piece").value = place;
  showChoice();
}

function startTalk() {
  for (const [name, value] of Object.entries(MODEL.settings)) byId(name).value = value;
  byId("seed").value = 1;
  byId("prompt").value = firstOpening;
  const showTemperature = () => {
    byId("temperature-value").textContent = Number(byId("temperature").value).toLocaleString(language);
  };
  byId("temperature").addEventListener("input", showTemperature);
  byId("talk-form").addEventListener("submit", (event) => {
    event.preventDefault();
    write();
  });
  byId("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) write();
  });
  byId("another").addEventListener("click", () => {
    if (talk.writing) return;
    byId("seed").value = /^\d{1,18}$/.test(textField("seed")) ? BigInt(textField("seed")) + 1n : 1;
    write();
  });
  byId("stop").addEventListener("click", () => (talk.stopped = true));
  byId("piece").addEventListener("input", showChoice);
  byId("text").addEventListener("pointerover", pointAt);
  byId("text").addEventListener("click", pointAt);
  offerOpenings(byId("openings"), byId("prompt"), write);
  redraws.push(showTemperature, showTalk);
}

startTalk();
