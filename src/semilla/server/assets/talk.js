// Writes with a model: sends a completion request and shows the text as it arrives. Texts are set as text.
"use strict";

const byId = (id) => document.getElementById(id);
const SETTINGS = ["temperature", "top_k", "max_tokens", "seed"];
let running = null; // what cancels the request that is being answered

function readRequest() {
  const request = { model: byId("talk").dataset.model, prompt: byId("prompt").value, stream: true };
  for (const name of SETTINGS) if (byId(name).value !== "") request[name] = Number(byId(name).value);
  request.stream_options = { include_usage: true };
  return request;
}

// Yields the JSON of each event of a response.
async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) if (event !== "data: [DONE]") yield JSON.parse(event.slice("data: ".length));
  }
}

function showText(prompt) {
  byId("text").replaceChildren();
  const beginning = document.createElement("b");
  beginning.textContent = prompt;
  const continuation = document.createTextNode("");
  byId("text").append(beginning, continuation);
  return continuation;
}

async function write() {
  const request = readRequest();
  const shown = showText(request.prompt);
  const mine = (running = new AbortController());
  byId("stop").disabled = false;
  byId("status").textContent = "Writing…";
  const begun = performance.now();
  let ending = "";
  try {
    const response = await fetch("/v1/completions", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request),
      signal: mine.signal,
    });
    if (!response.ok) throw new Error((await response.json()).error.message);
    for await (const event of readEvents(response)) {
      if (event.error) throw new Error(event.error.message);
      const choice = event.choices[0];
      if (choice) shown.appendData(choice.text);
      if (choice?.finish_reason) ending = choice.finish_reason === "stop" ? "The text ended by itself" : "Stopped at the limit";
      if (event.usage) {
        const count = event.usage.completion_tokens;
        const rate = Math.round(count / ((performance.now() - begun) / 1000));
        byId("status").textContent = `${ending} after ${count} tokens, ${rate.toLocaleString("en")} tokens per second.`;
      }
    }
  } catch (error) {
    byId("status").textContent = error.name === "AbortError" ? "Stopped." : error.message;
  } finally {
    if (running === mine) {
      byId("stop").disabled = true;
      running = null;
    }
  }
}

byId("talk").addEventListener("submit", (event) => {
  event.preventDefault();
  running?.abort();
  write();
});
byId("stop").addEventListener("click", () => running?.abort());
for (const button of document.querySelectorAll("[data-opening]")) {
  button.addEventListener("click", () => { byId("prompt").value = button.dataset.opening; });
}
