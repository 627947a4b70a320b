"use strict";

const at = (id) => document.getElementById(id);
const EXAMPLES = [
  "The harbour freezes over in January and the boats stay ashore.",
  "Bread rises because yeast turns sugar into gas.",
  "The striker scored twice in the last ten minutes of the match.",
  "Interest rates went up, so fewer people take out a mortgage.",
  "Our cat sleeps on the warm radiator all afternoon.",
  "The telescope found a planet that circles two suns.",
];
const STATUS_EVERY_MS = 500;
const STATUS_TRIES = 240;

// An element with its text set as text: what people post is never read as markup.
function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the server does not answer");
  }
  let content = {};
  try {
    content = await response.json();
  } catch {
    // The gateway's own errors are not JSON; the status says enough.
  }
  if (!response.ok) throw new Error(content.error || `the server answers ${response.status}`);
  return content;
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

async function follow(id, state) {
  for (let tries = 0; tries < STATUS_TRIES; tries += 1) {
    try {
      const found = await call(`/documents/${encodeURIComponent(id)}`);
      state.textContent = found.status;
      state.className = `state ${found.status}`;
      if (found.status !== "queued") return;
    } catch (error) {
      state.textContent = error.message;
    }
    await pause(STATUS_EVERY_MS);
  }
}

async function post(id, text) {
  const line = element("li");
  const state = element("span", "state", "posting");
  line.append(element("span", "", text.length > 80 ? `${text.slice(0, 80)}…` : text), state);
  at("posted").prepend(line);
  try {
    const answer = await call("/documents", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ id, text }),
    });
    state.textContent = answer.status;
    follow(answer.id, state);
    return true;
  } catch (error) {
    state.textContent = error.message;
    state.className = "state failed";
    return false;
  }
}

const newId = () => `page-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;

at("post").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = at("text").value;
  if (await post(at("id").value.trim() || newId(), text)) {
    at("text").value = "";
    at("id").value = "";
  }
});

at("examples").addEventListener("click", async (event) => {
  event.target.disabled = true;
  await Promise.all(EXAMPLES.map((text, index) => post(`example-${index + 1}`, text)));
  event.target.disabled = false;
});

at("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const note = at("note");
  const list = at("results");
  note.className = "note";
  note.textContent = "searching";
  try {
    const started = performance.now();
    const { results } = await call(`/search?k=5&q=${encodeURIComponent(at("query").value)}`);
    note.textContent = results.length
      ? `${results.length} found in ${Math.round(performance.now() - started)} ms, nearest first`
      : "nothing is stored yet";
    list.replaceChildren(
      ...results.map((result) => {
        const line = element("li");
        const about = element("div", "about");
        const meter = element("meter");
        meter.max = 1;
        meter.value = Math.max(0, result.score);
        about.append(meter, element("span", "", result.score.toFixed(2)), element("span", "", result.id));
        line.append(element("p", "", result.text), about);
        return line;
      }),
    );
  } catch (error) {
    note.className = "note error";
    note.textContent = error.message;
  }
});

async function watch() {
  const health = at("health");
  for (;;) {
    try {
      const response = await fetch("/health");
      health.className = `health ${response.ok ? "ok" : "failed"}`;
      health.textContent = response.ok ? "all is well" : "a part is down; try again soon";
    } catch {
      health.className = "health failed";
      health.textContent = "the server does not answer";
    }
    await pause(5000);
  }
}
watch();
