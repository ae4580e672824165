// What a search has found: compared, chosen among candidates, taken away.

import {ask} from "./client.js";
import {$, fail, on, save, say} from "./words.js";
import {view, work} from "./work.js";

export class Result {
  constructor() {
    this.shown = null; // the server's event `result`, and the rank of the candidate that is shown
    on("slider", "input", event => this.compare(Number(event.target.value)));
    for (const [id, kind, ending] of
      [["download-photo", "photo", "repaired"], ["download-layer", "layer", "layer"]]) {
      on(id, "click", async () =>
        save(await (await this.ask(this.shown.rank, kind)).blob(), `${work.stem}-${ending}.png`));
    }
    on("copy", "click", copy);
  }

  ask(rank, kind) {
    const {id} = this.shown;
    return work.remote.use(at => ask("GET", `${at}/results/${id}/${rank}/${kind}`));
  }

  async show(event) {
    const own = this.shown = {...event, rank: 0};
    await this.showCandidate(0);
    if (own !== this.shown) return; // left while its picture was on the way
    view.marks = view.overlay = false;
    $("compare").hidden = $("result").hidden = false;
    this.compare(0);
    say(described(event));
    $("save-landmarks").hidden = !event.options.includes("--landmarks");
    $("command").value = command(event.options);
    await this.showCandidates(event);
  }

  async showCandidate(rank) {
    const own = this.shown;
    const response = await this.ask(rank, "hole");
    const box = response.headers.get("X-Box").split(",").map(Number);
    const picture = await createImageBitmap(await response.blob());
    if (own !== this.shown) return;
    own.rank = rank;
    view.show(picture, box, false);
    [...$("candidates").children].forEach((button, i) =>
      button.setAttribute("aria-pressed", i === rank));
  }

  async showCandidates({samples, id}) {
    $("candidates").hidden = samples < 2;
    $("candidates").replaceChildren();
    for (let rank = 0; rank < samples && samples > 1; rank++) {
      const blob = await (await this.ask(rank, "thumbnail")).blob();
      if (this.shown?.id !== id) return;
      const button = document.createElement("button"), image = new Image();
      button.type = "button";
      button.setAttribute("aria-label", `Candidate ${rank + 1}`);
      button.setAttribute("aria-pressed", rank === this.shown.rank);
      image.alt = "";
      image.src = URL.createObjectURL(blob);
      image.onload = () => URL.revokeObjectURL(image.src);
      button.append(image);
      button.addEventListener("click", () => this.showCandidate(rank).catch(fail));
      $("candidates").append(button);
    }
  }

  leave() {
    if (!this.shown && $("result").hidden) return;
    this.shown = null;
    $("compare").hidden = $("result").hidden = $("loss").hidden = true;
    view.marks = view.overlay = true;
    view.split = 0;
    view.show(null);
  }

  compare(share) {
    $("slider").value = share;
    const text = {0: "all after", 100: "all before"}[share];
    $("slider").setAttribute("aria-valuetext", text ?? `${Math.round(share)} % before`);
    view.split = share / 100;
    view.draw();
  }
}

function described({iteration, total, faces, inpainted}) {
  const done = iteration < total ? `Stopped after ${iteration} iterations` : "Done";
  const sizes = faces.map(({width, size}) => `face ${width} pixels wide, completed at ${size}`);
  const rest = inpainted > .005 ? `; ${Math.round(100 * inpainted)} % inpainted` : "";
  return `${done}: ${sizes.join("; ")}${rest}.`;
}

function command(options) {
  const quote = word => /^[\w./,@%+=:-]+$/.test(word) && !word.startsWith("-") ? word
    : `'${word.replaceAll("'", "'\\''")}'`;
  const path = file => quote(file.startsWith("-") ? `./${file}` : file);
  const words = ["./complete-photo.py", path(work.name), "--mask", path(`${work.stem}-mask.png`)];
  if (work.model.checkpoint_dir) words.push("--checkpoint-dir", quote(work.model.checkpoint_dir));
  return [...words, ...options].join(" ");
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("command").value);
  } catch {
    $("command").select();
    document.execCommand("copy");
  }
  say("Copied.");
}
