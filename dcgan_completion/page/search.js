// What is shown in the hole: a preview at once, then what a search finds.

import {ask, askJson, bitmapOf, events} from "./client.js";
import {session, view} from "./session.js";
import {$, clearError, on, showError, showStatus} from "./ui.js";

export class Search {
  // faces: which one is completed; result: what is shown in the end; hooks: buttons() when
  // buttons are to be enabled or disabled.
  constructor(faces, result, hooks) {
    Object.assign(this, {faces, result, hooks, previewing: null, running: null, id: null});
    on("complete", "click", () => this.complete());
    on("stop", "click", () => this.stop());
    on("samples", "input", () => this.showCompileNote());
    on("approach", "change", event => {
      const usual = session.model.approaches[event.target.value];
      $("iterations").value = usual > 1 ? usual : "";
      $("iterations").disabled = usual <= 1;
    });
    this.compiled = new Set(["1"]); // numbers of candidates
  }

  showCompileNote() {
    $("compile-note").hidden = this.compiled.has($("samples").value);
  }

  // --- previews ---

  // The hole or the face has changed, so what is shown in it is out of date.
  changed() {
    this.leave();
    this.hooks.buttons();
    this.preview();
  }

  async preview() {
    this.previewing?.abort();
    const {area, mask} = session;
    if (!area) {
      view.show(null);
      return showStatus("Paint over what should be replaced.");
    }
    const own = this.previewing = new AbortController();
    try {
      const body = await mask.png(area);
      const found = await session.remote.use(at =>
        askJson("POST", `${at}/preview?${this.faces.query(area)}`, {body, signal: own.signal}));
      const picture = await bitmapOf(found.picture);
      if (own !== this.previewing || this.running || this.result.shown) return;
      view.show(picture, found.box, true);
      clearError();
      const what = found.how === "estimate" ? "A first estimate" : "A rough preview";
      showStatus(`${what}. Press Enter to complete the photo.`);
    } catch (error) {
      if (own === this.previewing) showError(error);
    }
  }

  // --- searches ---

  async complete() {
    const {area, mask, remote} = session;
    if (!area || this.running) return;
    clearError();
    this.leave();
    const own = this.running = new AbortController(), losses = [];
    this.id = null;
    this.hooks.buttons();
    $("stop").hidden = $("progress").hidden = false;
    $("complete").hidden = true;
    $("progress").removeAttribute("value");
    showStatus("Starting the search …");
    try {
      const body = await mask.png(area), asked = options();
      await remote.use(async at => {
        const path = `${at}/search?${this.faces.query(area, asked)}`;
        for await (const event of events(path, body, own.signal)) {
          if (own !== this.running) return;
          await this.follow(event, losses);
        }
      });
      this.compiled.add(String(asked.samples));
      this.showCompileNote();
    } catch (error) {
      if (own === this.running) {
        showStatus("The photo was not completed.");
        showError(error);
      }
    } finally {
      if (own === this.running) this.end();
    }
  }

  async follow(event, losses) {
    if (event.event === "search") {
      this.id = event.id;
      if (!event.compiled) showStatus("The first search with these settings takes some seconds longer …");
    } else if (event.event === "faces") {
      showStatus("Looking for the face …");
    } else if (event.event === "wait" && event.place) {
      showStatus(`Waiting for ${event.place} other search${event.place > 1 ? "es" : ""} …`);
    } else if (event.event === "wait" && !event.ready) {
      showStatus("The search will start when the model is loaded …");
    } else if (event.event === "state") {
      losses.push(...event.losses);
      $("progress").value = event.iteration / event.total;
      showStatus(`Iteration ${event.iteration} of ${event.total}`);
      drawLoss(losses);
      view.overlay = false;
      view.show(await bitmapOf(event.picture), event.box, true);
    } else if (event.event === "result") {
      await this.result.show(event);
    } else if (event.event === "stopped") {
      showStatus("Stopped before there was a result.");
    } else if (event.event === "error") {
      throw new Error(event.error);
    }
  }

  // Stops the search; the last state is the result.
  async stop() {
    if (!this.running) return;
    if (this.id) await ask("POST", `/api/searches/${this.id}/stop`);
    else this.leave();
  }

  // Leaves search and result; nothing of them is kept.
  leave() {
    this.running?.abort();
    this.previewing?.abort();
    this.previewing = null;
    if (this.running) this.end();
    this.result.leave();
  }

  end() {
    this.running = null;
    $("stop").hidden = $("progress").hidden = true;
    $("complete").hidden = false;
    if (!this.result.shown) view.overlay = true;
    this.hooks.buttons();
    view.draw();
  }
}

function options() {
  const asked = {samples: $("samples").value || 1, seed: $("seed").value || 0,
    approach: $("approach").value || "auto"};
  const usual = session.model?.approaches[asked.approach];
  const iterations = Number($("iterations").value);
  if (iterations && usual > 1 && iterations !== usual) asked.n_iter = iterations;
  return asked;
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
