// The page: a photo comes, is painted on, completed, compared, taken away.

import {RemotePhoto, ask, askBlob, askJson, bitmapOf, events} from "./client.js";
import {Mask} from "./mask.js";
import {Painting} from "./painting.js";
import {View} from "./view.js";

const $ = id => document.getElementById(id);
const NAMES = {"grace_hopper.png": "Grace Hopper", "eileen_collins.png": "Eileen Collins"};
const LANDMARKS = ["the inner corner of the eye at the left of the picture",
  "the inner corner of the eye at the right of the picture",
  "the middle of the lower lip's lower edge"];
const ALIVE = 60_000; // milliseconds

const view = new View($("view"));
let portraits = null, model = null, remote = null, mask = null, name = "photo.png";
let faces = [], chosen = null, landmarks = null; // chosen: index in faces; null: all that are touched
let previewing = null, searching = null, searchId = null, result = null;

const painting = new Painting(view, {
  begun() {
    stopSearch();
    leaveResult();
  },
  painted(changed) {
    updateButtons();
    if (changed) preview();
    else view.draw();
  },
  picked(x, y) {
    if (painting.tool === "landmarks") placeLandmark(x, y);
    else chooseFace(nearestFace(x, y));
  },
  sized(pixels) {
    $("size-text").textContent = `${pixels} px`;
    $("size").value = 100 * Math.sqrt((pixels - 2) / ((painting.largest ?? 400) - 2));
  },
  tool(tool) {
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", button.dataset.tool === tool);
    }
  },
});

// --- words ---

function fail(error) {
  if (error?.name === "AbortError") return;
  const again = error?.retry ? ` (In ${error.retry} seconds.)` : "";
  $("error").textContent = (error?.message ?? String(error)) + again;
  $("error").hidden = false;
}

function say(text) {
  $("status").textContent = text;
}

const calm = () => { $("error").hidden = true; };

// Runs what an event asks for, and shows what goes wrong.
const on = (id, type, call) => $(id).addEventListener(type, async event => {
  try {
    await call(event);
  } catch (error) {
    fail(error);
  }
});

// --- the model ---

async function followModel() {
  for (;;) {
    try {
      model = await askJson("GET", "/api/model");
    } catch (error) {
      $("model").textContent = "";
      return fail(error);
    }
    portraits ??= showPortraits(model.portraits).catch(fail);
    if (model.ready) break;
    await new Promise(done => setTimeout(done, 400));
  }
  $("model").textContent = model.encoder ? "The model is ready."
    : "The model is ready. It has no context encoder: previews are inpainted.";
  $("samples").max = model.most_samples;
  $("iterations").max = model.most_iterations;
    for (const approach of Object.keys(model.approaches)) {
    $("approach").add(new Option(approach, approach));
  }
  $("iterations").value = model.approaches.auto;
  updateButtons();
}

async function showPortraits(names) {
  for (const portrait of names) {
    const blob = await askBlob("GET", `/api/portraits/${portrait}`);
    const button = document.createElement("button"), text = document.createElement("span");
    const image = new Image();
    button.type = "button";
    button.id = portrait;
    image.alt = "";
    image.src = URL.createObjectURL(blob);
    text.textContent = NAMES[portrait] ?? portrait;
    button.append(image, text);
    button.addEventListener("click", () => open(new File([blob], portrait)).catch(fail));
    $("portraits").append(button);
  }
}

// --- a photo comes ---

async function open(file) {
  calm();
  if (model && file.size > model.max_bytes) {
    throw new Error(`${file.name}: ${file.size} bytes are more than ${model.max_bytes}; `
      + "choose a smaller file, or start the server with a higher --max-bytes");
  }
  say("The photo is sent …");
  const next = new RemotePhoto(file);
  const [info, picture] = await Promise.all([next.send(), decode(file)]);
  close();
  [remote, name] = [next, file.name || "photo.png"];
  const fits = picture && picture.width === info.width && picture.height === info.height;
  const shown = fits ? picture
    : await createImageBitmap(await remote.use(at => askBlob("GET", `${at}/view`)));
  mask = new Mask(info.width, info.height);
  $("start").hidden = true;
  $("work").hidden = $("another").hidden = false;
  view.open(shown, info.width, info.height, mask);
  painting.open(mask, Math.max(40, Math.round(Math.max(info.width, info.height) / 3)));
  painting.setTool("brush");
  painting.setSize(Math.max(info.width, info.height) / 24);
  updateButtons();
  say(["Paint over what is to go.", ...info.notes].join(" "));
  view.canvas.focus({preventScroll: true});
  findFaces(remote).catch(fail);
}

async function decode(file) {
  try {
    return await createImageBitmap(file, {imageOrientation: "from-image"});
  } catch {
    return null; // the server shows what the browser cannot
  }
}

function close() {
  stopSearch();
  leaveResult();
  remote?.drop();
  faces = [];
  chosen = landmarks = mask = remote = null;
  $("faces").hidden = $("landmarks").hidden = true;
}

on("another", "click", () => {
  close();
  calm();
  painting.open(null);
  $("work").hidden = $("another").hidden = true;
  $("start").hidden = false;
  $("file").value = "";
  $("file").focus();
});
on("file", "change", event => event.target.files[0] && open(event.target.files[0]));
for (const type of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(type, event => {
    event.preventDefault();
    document.body.classList.toggle("dragging", type === "dragover");
    const file = type === "drop" && event.dataTransfer.files[0];
    if (file) open(file).catch(fail);
  });
}
document.addEventListener("paste", event => {
  const file = [...event.clipboardData.files].find(one => one.type.startsWith("image/"));
  if (file) open(file).catch(fail);
});
setInterval(() => remote?.use(at => ask("POST", `${at}/alive`)).catch(() => {}), ALIVE);

// --- faces ---

async function findFaces(photo) {
  const found = await photo.use(at => askJson("GET", `${at}/faces`));
  if (photo !== remote) return;
  faces = found.faces;
  if (!faces.length) return askLandmarks();
  chosen = null;
  $("faces").hidden = faces.length < 2;
  $("face-choices").replaceChildren(...[null, ...faces.keys()].map(i => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = i === null ? "Those under the paint" : `Face ${i + 1}`;
    button.addEventListener("click", () => chooseFace(i));
    return button;
  }));
  if (faces.length > 1 && !mask.bounds()) painting.setTool("face");
  chooseFace(null, false);
  if (mask.bounds()) preview();
}

function chooseFace(i, byUser = true) {
  chosen = i;
  [...$("face-choices").children].forEach((button, k) =>
    button.setAttribute("aria-pressed", k === (i === null ? 0 : i + 1)));
  if (byUser && painting.tool === "face") painting.setTool("brush");
  drawOutlines();
  if (byUser && mask.bounds()) changed();
}

function drawOutlines() {
  view.outlines = result ? [] : faces.map(({corners}, i) =>
    ({corners, chosen: chosen === null ? faces.length === 1 : i === chosen}));
  view.draw();
}

function centre({corners}) {
  return [0, 1].map(axis => corners.reduce((sum, corner) => sum + corner[axis], 0) / 4);
}

function nearestFace(x, y) {
  const away = faces.map(face => Math.hypot(centre(face)[0] - x, centre(face)[1] - y));
  return away.indexOf(Math.min(...away));
}

function askLandmarks() {
  landmarks = [];
  view.points = landmarks;
  $("landmarks").hidden = false;
  painting.setTool("landmarks");
  tellLandmarks();
  view.draw();
}

function tellLandmarks() {
  const next = LANDMARKS[landmarks.length];
  $("landmark-text").textContent = next
    ? `No face was found. Click ${landmarks.length + 1} of 3: ${next}; or paint, if paint hides the face.`
    : "The face is where you have placed its landmarks.";
}

function placeLandmark(x, y) {
  if (landmarks.length < 3) landmarks.push([x - .5, y - .5].map(v => Math.round(v * 100) / 100));
  view.points = landmarks.map(([px, py]) => [px + .5, py + .5]);
  tellLandmarks();
  if (landmarks.length === 3) {
    painting.setTool("brush");
    if (mask.bounds()) changed();
  }
  view.draw();
}

on("landmarks-again", "click", askLandmarks);

// What the address of a request says about mask and face.
function query(area, more = {}) {
  const words = new URLSearchParams({left: area.left, top: area.top, ...more});
  if (landmarks?.length === 3) words.set("landmarks", landmarks.flat().join());
  else if (chosen !== null) words.set("point", centre(faces[chosen]).map(v => v.toFixed(2)).join());
  return words;
}

// --- the hole ---

function updateButtons() {
  const painted = Boolean(mask?.bounds());
  $("undo").disabled = !mask?.done.length;
  $("redo").disabled = !mask?.undone.length;
  $("clear").disabled = $("save-mask").disabled = !painted;
  $("complete").disabled = !painted || Boolean(searching);
}

// The hole or the face has changed: what stood in it is no longer right.
function changed() {
  stopSearch();
  leaveResult();
  updateButtons();
  preview();
}

async function preview() {
  previewing?.abort();
  const area = mask.bounds();
  if (!area) {
    view.show(null);
    return say("Paint over what is to go.");
  }
  const own = previewing = new AbortController();
  try {
    const body = await mask.png(area);
    const found = await remote.use(at =>
      askJson("POST", `${at}/preview?${query(area)}`, {body, signal: own.signal}));
    const picture = await bitmapOf(found.picture);
    if (own !== previewing || searching || result) return;
    view.show(picture, found.box, true);
    calm();
    say(found.how === "estimate" ? "A first estimate. Enter completes it."
      : "A rough fill. Enter completes it.");
  } catch (error) {
    if (own === previewing) fail(error);
  }
}

on("undo", "click", () => mask.undo() && changed());
on("redo", "click", () => mask.redo() && changed());
on("clear", "click", () => mask.clear() && changed());
on("save-mask", "click", async () => {
  const {width, height} = mask;
  save(await mask.png({left: 0, top: 0, right: width, bottom: height}), `${stem()}-mask.png`);
});
on("load-mask", "click", () => $("mask-file").click());
on("mask-file", "change", async ({target}) => {
  const body = target.files[0];
  target.value = "";
  if (!body) return;
  calm();
  if (await mask.load(await remote.use(at => askBlob("POST", `${at}/mask`, {body})))) changed();
});

// --- the search ---

async function complete() {
  const area = mask?.bounds();
  if (!area || searching) return;
  calm();
  leaveResult();
  previewing?.abort();
  const own = searching = new AbortController();
  searchId = null;
  updateButtons();
  $("stop").hidden = $("progress").hidden = false;
  $("complete").hidden = true;
  $("progress").removeAttribute("value");
  say("The search begins …");
  const losses = [];
  try {
    const body = await mask.png(area);
    await remote.use(async at => {
      for await (const event of events(`${at}/search?${query(area, asked())}`, body, own.signal)) {
        if (own !== searching) return;
        await follow(event, losses);
      }
    });
  } catch (error) {
    if (own === searching) fail(error);
  } finally {
    if (own === searching) endSearch();
  }
}

function asked() {
  const words = {samples: $("samples").value || 1, seed: $("seed").value || 0,
    approach: $("approach").value || "auto"};
  const usual = model?.approaches[words.approach];
  const iterations = Number($("iterations").value);
  if (iterations && usual > 1 && iterations !== usual) words.n_iter = iterations;
  return words;
}

async function follow(event, losses) {
  if (event.event === "search") {
    searchId = event.id;
    if (!event.compiled) say("These settings are compiled once; this takes some seconds …");
  } else if (event.event === "faces") {
    say("Looking for the face under the paint …");
  } else if (event.event === "wait" && event.place) {
    say(`${event.place} ${event.place > 1 ? "searches are" : "search is"} before yours.`);
  } else if (event.event === "wait" && !event.ready) {
    say("The model is still loading; the search begins by itself.");
  } else if (event.event === "state") {
    losses.push(...event.losses);
    $("progress").value = event.iteration / event.total;
    say(`Iteration ${event.iteration} of ${event.total}`);
    drawLoss(losses);
    view.overlay = false;
    view.show(await bitmapOf(event.picture), event.box, true);
  } else if (event.event === "result") {
    await showResult(event);
  } else if (event.event === "stopped") {
    say("Stopped before anything was found.");
  } else if (event.event === "error") {
    throw new Error(event.error);
  }
}

function drawLoss(losses) {
  $("loss").hidden = losses.length < 2;
  if (losses.length < 2) return;
  const high = Math.max(...losses), low = Math.min(...losses), range = high - low || 1;
  $("loss").querySelector("polyline").setAttribute("points", losses.map((loss, i) =>
    `${(200 * i / (losses.length - 1)).toFixed(1)},${(76 - 72 * (loss - low) / range).toFixed(1)}`
  ).join(" "));
  $("loss-text").textContent = losses.at(-1).toFixed(1);
}

// Ends the search with what it has found.
async function stop() {
  if (!searching) return;
  if (searchId) await ask("POST", `/api/searches/${searchId}/stop`);
  else stopSearch();
}

// Leaves the search: nothing of it is kept.
function stopSearch() {
  searching?.abort();
  previewing?.abort();
  previewing = null;
  if (searching) endSearch();
}

function endSearch() {
  searching = null;
  $("stop").hidden = $("progress").hidden = true;
  $("complete").hidden = false;
  if (!result) view.overlay = true;
  updateButtons();
  view.draw();
}

on("complete", "click", complete);
on("stop", "click", stop);
on("samples", "input", event => { $("compile-note").hidden = event.target.value === "1"; });
on("approach", "change", event => {
  const usual = model.approaches[event.target.value];
  $("iterations").value = usual > 1 ? usual : "";
  $("iterations").disabled = usual <= 1;
});

// --- what was found ---

async function showResult(event) {
  result = {...event, rank: 0};
  await showCandidate(0);
  view.outlines = [];
  view.points = [];
  view.overlay = false;
  $("compare").hidden = $("result").hidden = false;
  compare(0);
  const done = event.iteration < event.total ? `Stopped after ${event.iteration} iterations` : "Done";
  const sizes = event.faces.map(({width, size}) => `face ${width} pixels wide, completed at ${size}`);
  const rest = event.inpainted > .005 ? `; ${Math.round(100 * event.inpainted)} % inpainted` : "";
  say(`${done}: ${sizes.join("; ")}${rest}.`);
  $("save-landmarks").hidden = !event.options.includes("--landmarks");
  $("command").value = command(event.options);
  await showCandidates(event);
}

const resultAt = (rank, kind) => remote.use(at =>
  ask("GET", `${at}/results/${result.id}/${rank}/${kind}`));

async function showCandidate(rank) {
  const response = await resultAt(rank, "hole");
  const box = response.headers.get("X-Box").split(",").map(Number);
  const picture = await createImageBitmap(await response.blob());
  if (!result) return;
  result.rank = rank;
  view.show(picture, box, false);
  [...$("candidates").children].forEach((button, i) => button.setAttribute("aria-pressed", i === rank));
}

async function showCandidates({samples, id}) {
  $("candidates").hidden = samples < 2;
  $("candidates").replaceChildren();
  for (let rank = 0; rank < samples && samples > 1; rank++) {
    const blob = await (await resultAt(rank, "thumbnail")).blob();
    if (result?.id !== id) return;
    const button = document.createElement("button"), image = new Image();
    button.type = "button";
    button.setAttribute("aria-label", `Candidate ${rank + 1}`);
    button.setAttribute("aria-pressed", rank === result.rank);
    image.alt = "";
    image.src = URL.createObjectURL(blob);
    image.onload = () => URL.revokeObjectURL(image.src);
    button.append(image);
    button.addEventListener("click", () => showCandidate(rank).catch(fail));
    $("candidates").append(button);
  }
}

function leaveResult() {
  if (!result && $("result").hidden) return;
  result = null;
  $("compare").hidden = $("result").hidden = $("loss").hidden = true;
  view.overlay = true;
  view.split = 0;
  view.patch = null;
  view.points = (landmarks ?? []).map(([x, y]) => [x + .5, y + .5]);
  drawOutlines();
}

function compare(share) {
  $("slider").value = share;
  const text = {0: "all after", 100: "all before"}[share];
  $("slider").setAttribute("aria-valuetext", text ?? `${Math.round(share)} % before`);
  view.split = share / 100;
  view.draw();
}

const stem = () => name.replace(/\.[^.]*$/, "") || "photo";

function command(options) {
  const quote = word => /^[\w./,@%+=:-]+$/.test(word) && !word.startsWith("-") ? word
    : `'${word.replaceAll("'", "'\\''")}'`;
  const path = file => quote(file.startsWith("-") ? `./${file}` : file);
  const words = ["./complete-photo.py", path(name), "--mask", path(`${stem()}-mask.png`)];
  if (model.checkpoint_dir) words.push("--checkpoint-dir", quote(model.checkpoint_dir));
  words.push(...options);
  return words.join(" ");
}

function save(blob, as) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = as;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

on("slider", "input", event => compare(Number(event.target.value)));
for (const [id, kind, ending] of [["download-photo", "photo", "repaired"], ["download-layer", "layer", "layer"]]) {
  on(id, "click", async () =>
    save(await (await resultAt(result.rank, kind)).blob(), `${stem()}-${ending}.png`));
}
on("save-landmarks", "click", () =>
  save(new Blob([landmarks.map(point => `${point.join()}\n`).join("")]), "landmarks.txt"));
on("copy", "click", async () => {
  try {
    await navigator.clipboard.writeText($("command").value);
  } catch {
    $("command").select();
    document.execCommand("copy");
  }
  say("Copied.");
});

// --- tools and keys ---

for (const button of document.querySelectorAll("[data-tool]")) {
  button.addEventListener("click", () => painting.setTool(button.dataset.tool));
}
on("size", "input", event =>
  painting.setSize(2 + (painting.largest - 2) * (event.target.value / 100) ** 2));
on("zoom-in", "click", () => view.zoomBy(1.5));
on("zoom-out", "click", () => view.zoomBy(1 / 1.5));
on("zoom-fit", "click", () => view.fit());

document.addEventListener("keydown", event => {
  if (!mask || event.target.matches("input:not([type=range]), textarea, select")) return;
  const control = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
  const pressed = id => !$(id).disabled && $(id).click();
  const keys = {
    b: () => painting.setTool("brush"), e: () => painting.setTool("eraser"),
    r: () => painting.setTool("rectangle"), h: () => painting.setTool("move"),
    "[": () => painting.resize(false), "]": () => painting.resize(true),
    "+": () => view.zoomBy(1.25), "=": () => view.zoomBy(1.25), "-": () => view.zoomBy(.8),
    0: () => view.fit(), escape: () => (painting.stroke ? painting.cancel() : stop().catch(fail)),
  };
  if (control && (key === "z" || key === "y")) {
    event.preventDefault();
    pressed(key === "y" || event.shiftKey ? "redo" : "undo");
  } else if (key === "enter" && !event.target.matches("button, a, summary, label")) {
    event.preventDefault();
    complete();
  } else if (!control && !event.altKey && keys[key]) {
    event.preventDefault();
    keys[key]();
  }
});

painting.size = 30;
followModel();
