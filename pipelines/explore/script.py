"""The script of the page. Latent vectors are what it keeps; all that is computed of them it asks the server for."""

SCRIPT = r"""
const byId = id => document.getElementById(id);
const [, height, width] = model.image;
const SIDE = 9;                                            // images in a row of the plane
const state = {z: null, samples: [], chosen: [], moves: {}, condition: model.conditions.length ? 0 : null};

const say = text => { byId("status").textContent = text; byId("status").hidden = !text; };
const ask = async (path, body) => {
  const options = body === undefined ? {} :
    {method: "POST", body: body instanceof Blob ? body : JSON.stringify(body)};
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
};
const numbers = async (path, body) => (await ask(path, body)).json();
const pictures = async (z, columns, moves = {}) =>
  createImageBitmap(await (await ask("picture", {z, columns, moves, condition: state.condition})).blob());

// Runs `work` with what was asked last: while it runs, what comes in between is passed over.
const newest = work => {
  let running = false, waiting = null;
  return async (...asked) => {
    waiting = asked;
    if (running) return;
    running = true;
    while (waiting) {
      const now = waiting;
      waiting = null;
      try { await work(...now); say(""); } catch (error) { say(error.message); }
    }
    running = false;
  };
};

const size = (canvas, images) => {                         // at once, so that nothing on the page moves later
  canvas.width = images * (width + 1) - 1;
  canvas.height = images * (height + 1) - 1;
  canvas.classList.toggle("small", width < 64);
  return canvas;
};
const draw = (canvas, sheet, column = 0, row = 0) => {
  canvas.getContext("2d").drawImage(sheet, -column * width, -row * height);
};
const drawGrid = (canvas, sheet) => {                      // a pixel apart
  const context = canvas.getContext("2d");
  for (let row = 0; row < SIDE; row++) for (let column = 0; column < SIDE; column++)
    context.drawImage(sheet, column * width, row * height, width, height,
      column * (width + 1), row * (height + 1), width, height);
};
const cell = (name, click) => {
  const button = document.createElement(click ? "button" : "div");
  button.className = "cell";
  button.append(size(document.createElement("canvas"), 1));
  if (name) button.append(Object.assign(document.createElement("b"), {textContent: name}));
  if (click) button.addEventListener("click", click);
  return button;
};
const drawCells = async (place, z, columns) => {
  const sheet = await pictures(z, columns);
  [...place.querySelectorAll("canvas")].forEach((canvas, i) =>
    draw(canvas, sheet, i % columns, Math.floor(i / columns)));
};

const drawPicture = newest(async () => draw(byId("picture"), await pictures([state.z], 1, state.moves)));
const show = (z, which) => {
  state.z = z;
  byId("which").textContent = which;
  return drawPicture();
};

const drawSamples = newest(async () => {
  const source = byId("source").value, seed = Math.max(0, Math.floor(byId("seed").valueAsNumber || 0));
  const {z} = await numbers(`draws?source=${source}&seed=${seed}&rows=16`);
  state.samples = z;
  const what = source === "prior" ? "sample" : "reconstruction";
  const cells = z.map((one, i) => cell("", () => { choose(one); show(one, `${what} ${i + 1} of seed ${seed}`); }));
  cells.forEach((button, i) => button.setAttribute("aria-label", `${what} ${i + 1}`));
  byId("samples").replaceChildren(...cells);
  await drawCells(byId("samples"), z, 8);
  mark();
  if (!state.z) show(z[0], `${what} 1 of seed ${seed}`);
  if (state.chosen.length < 3) drawPlane();
});
const mark = () => [...byId("samples").children].forEach((button, i) => {
  const at = state.chosen.indexOf(state.samples[i]);
  button.classList.toggle("chosen", at >= 0);
  button.querySelector("b")?.remove();
  if (at >= 0) button.append(Object.assign(document.createElement("b"), {textContent: "ABC"[at]}));
});

const choose = z => {
  if (state.chosen.length === 3) state.chosen = [];
  if (!state.chosen.includes(z)) state.chosen.push(z);
  drawChosen();
};
const drawChosen = newest(async () => {
  const chosen = state.chosen;
  mark();
  byId("clear").hidden = !chosen.length;
  byId("chosen").replaceChildren(...chosen.map((_, i) => cell("ABC"[i])));
  byId("between").hidden = chosen.length < 2;
  if (chosen.length) await drawCells(byId("chosen"), chosen, chosen.length);
  if (chosen.length > 1) drawPath();
  if (chosen.length === 3 || !chosen.length) drawPlane();
});

const drawPath = newest(async () => {
  const [a, b] = state.chosen;
  if (!b) return;
  const straight = !!document.querySelector("input[name=way]:checked").value;
  const {z, off} = await numbers("path", {a, b, steps: 8, straight});
  byId("path").replaceChildren(...z.map((one, i) => cell("", () => show(one, `${i} eighths from A to B`))));
  await drawCells(byId("path"), z, z.length);
  const signed = value => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(1);
  byId("lengths").textContent = off ? "Lengths lie " + signed(Math.min(...off)) + " to " + signed(Math.max(...off)) +
    " standard deviations from the mean length of draws of the prior." : "";
});

const corners = () => {
  if (state.chosen.length === 3) return state.chosen;
  return model.latentDim === 2 ? null : state.samples.slice(0, 3);
};
const line = Array.from({length: SIDE}, (_, i) => i / (SIDE - 1));
const drawPlane = newest(async () => {
  const at = line.flatMap(down => line.map(right => [right, down])), three = corners();
  byId("corners").textContent = (three
    ? `A top left, B top right, C bottom left, C + B \u2212 A bottom right: ${
      state.chosen.length === 3 ? "those that were chosen" : "the first three samples, until three are chosen"}.`
    : "The two dimensions of the latent vector, from percentile 2 to 98 of the prior, until three samples are chosen.")
    + " Drag on it.";
  const {z} = await numbers("surface", {corners: three, at});
  byId("plane").querySelector("i").hidden = true;
  drawGrid(byId("plane").querySelector("canvas"), await pictures(z, SIDE));
});
const place = {right: 0, down: 0};
const showPlace = newest(async () => {
  const {right, down} = place, dot = byId("plane").querySelector("i");
  const z = (await numbers("surface", {corners: corners(), at: [[right, down]]})).z[0];
  dot.hidden = false;                        // the centres of the outer images are at 0 and 1
  dot.style.left = `${100 * (right * (SIDE - 1) + .5) / SIDE}%`;
  dot.style.top = `${100 * (down * (SIDE - 1) + .5) / SIDE}%`;
  await show(z, `${right.toFixed(2)} to the right, ${down.toFixed(2)} down on the plane`);
});
const go = (right, down) => {
  [place.right, place.down] = [right, down].map(value => Math.min(1, Math.max(0, value)));
  showPlace();
};
const drag = event => {
  if (!event.buttons) return;
  const box = byId("plane").getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  go((x * SIDE - .5) / (SIDE - 1), (y * SIDE - .5) / (SIDE - 1));
};
byId("plane").addEventListener("pointerdown", event => {
  event.target.setPointerCapture(event.pointerId);
  drag(event);
});
byId("plane").addEventListener("pointermove", drag);
byId("plane").addEventListener("keydown", event => {
  const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
  if (!step) return;
  event.preventDefault();
  go(place.right + step[0] / (2 * SIDE), place.down + step[1] / (2 * SIDE));
});

for (const name of model.vectors) {
  const row = document.createElement("label"), value = document.createElement("output");
  const input = Object.assign(document.createElement("input"), {type: "range", min: -2, max: 2, step: .05, value: 0});
  row.className = "slider";
  row.append(name.replaceAll("_", " "), input, value);
  value.textContent = "0";
  input.addEventListener("input", () => {
    value.textContent = input.value.replace("-", "\u2212");
    if (+input.value) state.moves[name] = +input.value; else delete state.moves[name];
    drawPicture();
  });
  byId("sliders").append(row);
}
byId("reset").hidden = !model.vectors.length;
byId("reset").addEventListener("click", () => {
  for (const input of document.querySelectorAll(".slider input")) {
    input.value = 0;
    input.dispatchEvent(new Event("input"));
  }
});

const redraw = () => { drawSamples(); drawChosen(); if (state.z) drawPicture(); };
const called = {prior: "draws of the prior", images: "held-out images, encoded"};
byId("source").append(...model.sources.map(one => new Option(called[one], one)));
byId("source").hidden = model.sources.length < 2;
byId("source").addEventListener("change", drawSamples);
byId("seed").addEventListener("change", drawSamples);
byId("more").addEventListener("click", () => { byId("seed").stepUp(); drawSamples(); });
byId("asked").hidden = !model.conditions.length;
byId("condition").append(...model.conditions.map((name, i) => new Option(name, i)));
byId("condition").addEventListener("change", () => { state.condition = +byId("condition").value; redraw(); });
for (const way of document.querySelectorAll("input[name=way]")) way.addEventListener("change", drawPath);
byId("choose").addEventListener("click", () => { if (state.z) choose(state.z); });
byId("clear").addEventListener("click", () => { state.chosen = []; drawChosen(); });
byId("save").addEventListener("click", () => {
  const link = Object.assign(document.createElement("a"), {download: "picture.png"});
  link.href = byId("picture").toDataURL();
  link.click();
});

const take = newest(async file => {
  byId("drop").querySelector("span").textContent = "looking for " + file.name;
  const given = state.condition === null ? "" : `?condition=${state.condition}`;
  const own = await numbers("encode" + given, file).catch(error => {
    byId("drop").querySelector("span").textContent = error.message;
    throw error;
  });
  Object.assign(byId("drop").querySelector("img"), {src: own.picture, hidden: false});
  byId("drop").querySelector("span").textContent =
    `${file.name} as the model sees it. Of its reconstruction, pixels differ by ${Math.sqrt(own.error).toFixed(2)} ` +
    "in root mean square (black to white is 2).";
  await show(own.z[0], `reconstruction of ${file.name}`);
});
const over = inside => event => { event.preventDefault(); byId("drop").classList.toggle("over", inside && model.own); };
document.addEventListener("dragover", over(true));
document.addEventListener("dragleave", over(false));
document.addEventListener("drop", event => {
  over(false)(event);
  if (model.own && event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
});
byId("file").disabled = !model.own;
byId("file").addEventListener("change", () => { if (byId("file").files[0]) take(byId("file").files[0]); });

size(byId("picture"), 1);
size(byId("plane").querySelector("canvas"), SIDE);
drawSamples();
"""
