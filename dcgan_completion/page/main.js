// The page: a photo is opened, painted over, completed, compared, downloaded.

import {RemotePhoto, ask, askBlob, askJson} from "./client.js";
import {Faces} from "./faces.js";
import {Painting} from "./painting.js";
import {Result} from "./result.js";
import {Search} from "./search.js";
import {session, view} from "./session.js";
import {$, clearError, download, listen, makeButton, makeImage, on, showError, showStatus}
  from "./ui.js";

const NAMES = {"grace_hopper.png": "Grace Hopper", "eileen_collins.png": "Eileen Collins"};
const ALIVE_INTERVAL = 60_000; // milliseconds

const painting = new Painting(view, {
  begun: () => search.leave(),
  painted(changed) {
    updateButtons();
    if (changed) search.preview();
    else view.draw();
  },
  picked: (x, y) => faces.pick(painting.tool, x, y),
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
const faces = new Faces({
  found: () => session.area && !search.running && !search.result.shown && search.preview(),
  changed: () => search.changed(),
  tool: name => painting.setTool(name),
  picking: () => painting.tool === "face",
});
const search = new Search(faces, new Result(), {buttons: updateButtons});

function updateButtons() {
  const {mask, area} = session;
  $("undo").disabled = !mask?.done.length;
  $("redo").disabled = !mask?.undone.length;
  $("clear").disabled = $("save-mask").disabled = !area;
  $("complete").disabled = !area || Boolean(search.running);
}

// --- the model ---

async function followModel() {
  let portraits = null;
  for (;;) {
    try {
      session.model = await askJson("GET", "/api/model");
    } catch (error) {
      $("model").textContent = "";
      return showError(error);
    }
    portraits ??= showPortraits(session.model.portraits).catch(showError);
    if (session.model.ready) break;
    await new Promise(done => setTimeout(done, 400));
  }
  const {encoder, max_samples, max_iterations, approaches} = session.model;
  $("model").textContent = encoder ? "The model is ready."
    : "The model is ready. It has no context encoder, so previews are rough.";
  $("samples").max = max_samples;
  $("iterations").max = max_iterations;
  for (const approach of Object.keys(approaches)) {
    $("approach").add(new Option(approach, approach));
  }
  $("iterations").value = approaches.auto;
  updateButtons();
}

async function showPortraits(names) {
  for (const portrait of names) {
    const blob = await askBlob("GET", `/api/portraits/${portrait}`);
    const text = document.createElement("span");
    text.textContent = NAMES[portrait] ?? portrait;
    const button = makeButton(() => open(new File([blob], portrait)), makeImage(blob), text);
    button.id = portrait;
    $("portraits").append(button);
  }
}

// --- the photo ---

async function open(file) {
  clearError();
  const {model} = session;
  if (model && file.size > model.max_bytes) {
    throw new Error(`${file.name}: ${file.size} bytes are more than ${model.max_bytes}; `
      + "choose a smaller file, or start the server with a higher --max-bytes");
  }
  showStatus("Sending the photo …");
  const next = new RemotePhoto(file);
  const [info, picture] = await Promise.all([next.send(), decode(file)]);
  const fits = picture && picture.width === info.width && picture.height === info.height;
  const shown = fits ? picture
    : await createImageBitmap(await next.use(at => askBlob("GET", `${at}/view`)));
  close();
  $("start").hidden = true;
  $("work").hidden = $("another").hidden = false;
  session.open(next, file.name, info, shown);
  const longest = Math.max(info.width, info.height);
  painting.open(session.mask, Math.max(40, Math.round(longest / 3)));
  painting.setTool("brush");
  painting.setSize(longest / 24);
  updateButtons();
  showStatus(["Paint over what should be replaced.", ...info.notes].join(" "));
  view.canvas.focus({preventScroll: true});
  faces.find(next).catch(showError);
}

async function decode(file) {
  try {
    return await createImageBitmap(file, {imageOrientation: "from-image"});
  } catch {
    return null; // the server shows what the browser cannot
  }
}

function close() {
  search.leave();
  faces.close();
  session.close();
}

on("another", "click", () => {
  close();
  clearError();
  painting.open(null);
  $("work").hidden = $("another").hidden = true;
  $("start").hidden = false;
  $("file").value = "";
  $("file").focus();
});
on("file", "change", event => event.target.files[0] && open(event.target.files[0]));
for (const type of ["dragover", "dragleave", "drop"]) {
  listen(document, type, event => {
    event.preventDefault();
    document.body.classList.toggle("dragging", type === "dragover");
    const file = type === "drop" && event.dataTransfer.files[0];
    return file && open(file);
  });
}
listen(document, "paste", event => {
  const file = [...event.clipboardData.files].find(one => one.type.startsWith("image/"));
  return file && open(file);
});
setInterval(() => session.remote?.use(at => ask("POST", `${at}/alive`)).catch(() => {}), ALIVE_INTERVAL);

// --- the mask ---

on("undo", "click", () => session.mask.undo() && search.changed());
on("redo", "click", () => session.mask.redo() && search.changed());
on("clear", "click", () => session.mask.clear() && search.changed());
on("save-mask", "click", async () =>
  download(await session.mask.png(session.mask.whole), `${session.stem}-mask.png`));
on("load-mask", "click", () => $("mask-file").click());
on("mask-file", "change", async ({target}) => {
  const body = target.files[0];
  target.value = "";
  if (!body) return;
  clearError();
  const redrawn = await session.remote.use(at => askBlob("POST", `${at}/mask`, {body}));
  if (await session.mask.load(redrawn)) search.changed();
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
  if (!session.mask || event.target.matches("input:not([type=range]), textarea, select")) return;
  const control = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
  const pressed = id => !$(id).disabled && $(id).click();
  const keys = {
    b: () => painting.setTool("brush"), e: () => painting.setTool("eraser"),
    r: () => painting.setTool("rectangle"), h: () => painting.setTool("move"),
    "[": () => painting.resize(false), "]": () => painting.resize(true),
    "+": () => view.zoomBy(1.25), "=": () => view.zoomBy(1.25), "-": () => view.zoomBy(.8),
    0: () => view.fit(),
    escape: () => (painting.stroke ? painting.cancel() : search.stop().catch(showError)),
  };
  if (control && (key === "z" || key === "y")) {
    event.preventDefault();
    pressed(key === "y" || event.shiftKey ? "redo" : "undo");
  } else if (key === "enter" && !event.target.matches("button, a, summary, label")) {
    event.preventDefault();
    search.complete();
  } else if (!control && !event.altKey && keys[key]) {
    event.preventDefault();
    keys[key]();
  }
});

painting.size = 30;
followModel();
