"use strict";
// What paper cannot do: a cursor over the curves, the samples epoch by epoch, and a search in the vocabulary. Without
// this script, the page shows the same figures, samples of some epochs, and the longest words of the vocabulary.

const MOST_FOUND = 60;

const byId = (id) => document.getElementById(id);
const readData = (id) => JSON.parse(byId(id)?.textContent ?? "[]");

// A new element. Texts are always set as text, never as markup.
function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

// ---- the cursor: one position for all curves and samples

const steps = readData("steps"); // each: epoch, its place in words, and its samples
const charts = [...document.querySelectorAll(".chart")];
const sliders = [...document.querySelectorAll(".cursor input")];

function showStep(index) {
  const { epoch, place, samples } = steps[index];
  for (const slider of sliders) {
    slider.value = index;
    slider.setAttribute("aria-valuetext", place);
    slider.nextElementSibling.textContent = place;
  }
  for (const chart of charts) showValues(chart, epoch);
  showSamples(epoch, samples);
}

// Moves the line of a chart to an epoch, and names the values there.
function showValues(chart, epoch) {
  const marks = [...chart.querySelectorAll(`[data-epoch="${epoch}"]`)];
  const line = chart.querySelector(".at-line");
  line.setAttribute("visibility", marks.length ? "visible" : "hidden");
  if (marks.length) {
    for (const end of ["x1", "x2"]) line.setAttribute(end, marks[0].getAttribute("cx"));
  }
  const values = marks.map((mark) => `${mark.parentNode.dataset.name} ${mark.dataset.value}`);
  chart.querySelector(".at").textContent = values.join(" · ");
}

function showSamples(epoch, samples) {
  const place = byId("at-epoch");
  if (!place) return;
  place.hidden = !samples.length;
  place.replaceChildren(
    ...samples.map(({ language, prompt, text, ending }) => {
      const quote = make("blockquote");
      quote.lang = language;
      quote.append(make("b", "", prompt), text);
      if (ending) quote.append(" ", make("span", "epoch", `(${ending})`));
      return quote;
    }),
  );
}

// The step whose marks are closest to a pointer over a chart.
function findStep(chart, event) {
  const { left, width } = chart.querySelector("svg").getBoundingClientRect();
  const x = ((event.clientX - left) / width) * chart.querySelector("svg").viewBox.baseVal.width;
  const distances = steps.map(({ epoch }) => {
    const mark = chart.querySelector(`[data-epoch="${epoch}"]`);
    return mark ? Math.abs(mark.getAttribute("cx") - x) : Infinity;
  });
  return distances.indexOf(Math.min(...distances));
}

function startCursor() {
  for (const slider of sliders) {
    slider.max = steps.length - 1;
    slider.addEventListener("input", () => showStep(Number(slider.value)));
    slider.parentNode.hidden = false;
  }
  for (const chart of charts) {
    for (const kind of ["pointermove", "pointerdown"]) {
      chart.querySelector("svg").addEventListener(kind, (event) => showStep(findStep(chart, event)));
    }
  }
  showStep(steps.length - 1);
}

if (steps.length > 1) startCursor();

// ---- the vocabulary

const vocabulary = readData("vocabulary");

function searchVocabulary() {
  const wanted = byId("search").value.toLowerCase().replaceAll(" ", "▁");
  const found = vocabulary.flatMap((piece, id) => (piece.toLowerCase().includes(wanted) ? [{ piece, id }] : []));
  const shown = found.slice(0, MOST_FOUND);
  const counts = `${found.length.toLocaleString("en")} of ${vocabulary.length.toLocaleString("en")} pieces`;
  byId("found").textContent = shown.length < found.length ? `${counts}, the first ${shown.length}:` : `${counts}:`;
  byId("pieces").replaceChildren(
    ...shown.map(({ piece, id }) => {
      const item = make("li", "", piece);
      item.append(" ", make("small", "", id));
      return item;
    }),
  );
}

if (vocabulary.length) {
  byId("search").closest("p").hidden = false;
  byId("search").addEventListener("input", searchVocabulary);
}
