// The result of a search: compared, chosen among candidates, downloaded.

import {ask} from "./client.js";
import {session, view} from "./session.js";
import {$, download, makeButton, makeImage, on, showStatus} from "./ui.js";

export class Result {
  constructor() {
    this.shown = null; // the server's event `result`, with the rank of the candidate shown
    on("slider", "input", event => this.compare(Number(event.target.value)));
    for (const [id, kind, ending] of
      [["download-photo", "photo", "repaired"], ["download-layer", "layer", "layer"]]) {
      on(id, "click", async () =>
        download(await (await this.ask(this.shown.rank, kind)).blob(), `${session.stem}-${ending}.png`));
    }
    on("copy", "click", copy);
  }

  ask(rank, kind) {
    const {id} = this.shown;
    return session.remote.use(at => ask("GET", `${at}/results/${id}/${rank}/${kind}`));
  }

  async show(event) {
    const own = this.shown = {...event, rank: 0};
    await this.showCandidate(0);
    if (own !== this.shown) return; // left while its picture was loading
    view.marks = view.overlay = false;
    $("compare").hidden = $("result").hidden = false;
    this.compare(0);
    showStatus(described(event));
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
      const button = makeButton(() => this.showCandidate(rank), makeImage(blob));
      button.setAttribute("aria-label", `Candidate ${rank + 1}`);
      button.setAttribute("aria-pressed", rank === this.shown.rank);
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
    const text = {0: "after", 100: "before"}[share];
    $("slider").setAttribute("aria-valuetext", text ?? `${Math.round(share)} % before`);
    view.split = share / 100;
    view.draw();
  }
}

function described({iteration, total, faces, diffused}) {
  const done = iteration < total ? `Stopped after ${iteration} iterations` : "Done";
  const sizes = faces.map(({width, size}) => `face ${width} pixels wide, completed at ${size}`);
  const rest = diffused > .005 ? `; ${Math.round(100 * diffused)}% filled by diffusion` : "";
  return `${done}: ${sizes.join("; ")}${rest}.`;
}

function command(options) {
  const quote = word => /^[\w./,@%+=:-]+$/.test(word) && !word.startsWith("-") ? word
    : `'${word.replaceAll("'", "'\\''")}'`;
  const path = file => quote(file.startsWith("-") ? `./${file}` : file);
  const words = ["./complete-photo.py", path(session.name), "--mask", path(`${session.stem}-mask.png`)];
  if (session.model.checkpoint_dir) words.push("--checkpoint-dir", quote(session.model.checkpoint_dir));
  return [...words, ...options].join(" ");
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("command").value);
  } catch {
    $("command").select();
    document.execCommand("copy");
  }
  showStatus("Copied.");
}
