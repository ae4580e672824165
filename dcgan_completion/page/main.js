// The page: a photo comes, is painted on, completed, compared, taken away.

import {RemotePhoto, ask, askBlob, askJson} from "./client.js";
import {Faces} from "./faces.js";
import {Painting} from "./painting.js";
import {Result} from "./result.js";
import {Search} from "./search.js";
import {$, calm, fail, on, save, say} from "./words.js";
import {view, work} from "./work.js";

const NAMES = {"grace_hopper.png": "Grace Hopper", "eileen_collins.png": "Eileen Collins"};
const ALIVE = 60_000; // milliseconds

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
  found: () => work.area && !search.running && !search.result.shown && search.preview(),
  changed: () => search.changed(),
  tool: name => painting.setTool(name),
  picking: () => painting.tool === "face",
});
const search = new Search(faces, new Result(), {buttons: updateButtons});

function updateButtons() {
  const {mask, area} = work;
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
      work.model = await askJson("GET", "/api/model");
    } catch (error) {
      $("model").textContent = "";
      return fail(error);
    }
    portraits ??= showPortraits(work.model.portraits).catch(fail);
    if (work.model.ready) break;
    await new Promise(done => setTimeout(done, 400));
  }
  const {encoder, most_samples, most_iterations, approaches} = work.model;
  $("model").textContent = encoder ? "The model is ready."
    : "The model is ready. It has no context encoder: previews are inpainted.";
  $("samples").max = most_samples;
  $("iterations").max = most_iterations;
  for (const approach of Object.keys(approaches)) {
    $("approach").add(new Option(approach, approach));
  }
  $("iterations").value = approaches.auto;
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
  const {model} = work;
  if (model && file.size > model.max_bytes) {
    throw new Error(`${file.name}: ${file.size} bytes are more than ${model.max_bytes}; `
      + "choose a smaller file, or start the server with a higher --max-bytes");
  }
  say("The photo is sent …");
  const next = new RemotePhoto(file);
  const [info, picture] = await Promise.all([next.send(), decode(file)]);
  const fits = picture && picture.width === info.width && picture.height === info.height;
  const shown = fits ? picture
    : await createImageBitmap(await next.use(at => askBlob("GET", `${at}/view`)));
  close();
  $("start").hidden = true;
  $("work").hidden = $("another").hidden = false;
  work.open(next, file.name, info, shown);
  const longest = Math.max(info.width, info.height);
  painting.open(work.mask, Math.max(40, Math.round(longest / 3)));
  painting.setTool("brush");
  painting.setSize(longest / 24);
  updateButtons();
  say(["Paint over what is to go.", ...info.notes].join(" "));
  view.canvas.focus({preventScroll: true});
  faces.find(next).catch(fail);
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
  work.close();
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
setInterval(() => work.remote?.use(at => ask("POST", `${at}/alive`)).catch(() => {}), ALIVE);

// --- the hole ---

on("undo", "click", () => work.mask.undo() && search.changed());
on("redo", "click", () => work.mask.redo() && search.changed());
on("clear", "click", () => work.mask.clear() && search.changed());
on("save-mask", "click", async () => {
  const {width, height} = work.mask;
  const whole = {left: 0, top: 0, right: width, bottom: height};
  save(await work.mask.png(whole), `${work.stem}-mask.png`);
});
on("load-mask", "click", () => $("mask-file").click());
on("mask-file", "change", async ({target}) => {
  const body = target.files[0];
  target.value = "";
  if (!body) return;
  calm();
  const drawn = await work.remote.use(at => askBlob("POST", `${at}/mask`, {body}));
  if (await work.mask.load(drawn)) search.changed();
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
  if (!work.mask || event.target.matches("input:not([type=range]), textarea, select")) return;
  const control = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
  const pressed = id => !$(id).disabled && $(id).click();
  const keys = {
    b: () => painting.setTool("brush"), e: () => painting.setTool("eraser"),
    r: () => painting.setTool("rectangle"), h: () => painting.setTool("move"),
    "[": () => painting.resize(false), "]": () => painting.resize(true),
    "+": () => view.zoomBy(1.25), "=": () => view.zoomBy(1.25), "-": () => view.zoomBy(.8),
    0: () => view.fit(),
    escape: () => (painting.stroke ? painting.cancel() : search.stop().catch(fail)),
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
