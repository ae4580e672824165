// What stands in the hole: a preview at once, then what a search finds.

import {ask, askJson, bitmapOf, events} from "./client.js";
import {$, calm, fail, on, say} from "./words.js";
import {view, work} from "./work.js";

export class Search {
  // faces: which one; result: what is shown in the end; hooks: buttons() when something may be
  // pressed that could not, or the other way round.
  constructor(faces, result, hooks) {
    Object.assign(this, {faces, result, hooks, previewing: null, running: null, id: null});
    on("complete", "click", () => this.complete());
    on("stop", "click", () => this.stop());
    on("samples", "input", () => this.tellCompiling());
    on("approach", "change", event => {
      const usual = work.model.approaches[event.target.value];
      $("iterations").value = usual > 1 ? usual : "";
      $("iterations").disabled = usual <= 1;
    });
    this.compiled = new Set(["1"]); // numbers of candidates
  }

  tellCompiling() {
    $("compile-note").hidden = this.compiled.has($("samples").value);
  }

  // --- previews ---

  // The hole or the face has changed: what stood in it is no longer right.
  changed() {
    this.leave();
    this.hooks.buttons();
    this.preview();
  }

  async preview() {
    this.previewing?.abort();
    const {area, mask} = work;
    if (!area) {
      view.show(null);
      return say("Paint over what is to go.");
    }
    const own = this.previewing = new AbortController();
    try {
      const body = await mask.png(area);
      const found = await work.remote.use(at =>
        askJson("POST", `${at}/preview?${this.faces.query(area)}`, {body, signal: own.signal}));
      const picture = await bitmapOf(found.picture);
      if (own !== this.previewing || this.running || this.result.shown) return;
      view.show(picture, found.box, true);
      calm();
      say(found.how === "estimate" ? "A first estimate. Enter completes it."
        : "A rough fill. Enter completes it.");
    } catch (error) {
      if (own === this.previewing) fail(error);
    }
  }

  // --- searches ---

  async complete() {
    const {area, mask, remote} = work;
    if (!area || this.running) return;
    calm();
    this.leave();
    const own = this.running = new AbortController(), losses = [];
    this.id = null;
    this.hooks.buttons();
    $("stop").hidden = $("progress").hidden = false;
    $("complete").hidden = true;
    $("progress").removeAttribute("value");
    say("The search begins …");
    try {
      const body = await mask.png(area), words = asked();
      await remote.use(async at => {
        const path = `${at}/search?${this.faces.query(area, words)}`;
        for await (const event of events(path, body, own.signal)) {
          if (own !== this.running) return;
          await this.follow(event, losses);
        }
      });
      this.compiled.add(String(words.samples));
      this.tellCompiling();
    } catch (error) {
      if (own === this.running) {
        say("Nothing was completed.");
        fail(error);
      }
    } finally {
      if (own === this.running) this.end();
    }
  }

  async follow(event, losses) {
    if (event.event === "search") {
      this.id = event.id;
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
      await this.result.show(event);
    } else if (event.event === "stopped") {
      say("Stopped before anything was found.");
    } else if (event.event === "error") {
      throw new Error(event.error);
    }
  }

  // Ends the search with what it has found.
  async stop() {
    if (!this.running) return;
    if (this.id) await ask("POST", `/api/searches/${this.id}/stop`);
    else this.leave();
  }

  // Leaves search and result: nothing of them is kept.
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

function asked() {
  const words = {samples: $("samples").value || 1, seed: $("seed").value || 0,
    approach: $("approach").value || "auto"};
  const usual = work.model?.approaches[words.approach];
  const iterations = Number($("iterations").value);
  if (iterations && usual > 1 && iterations !== usual) words.n_iter = iterations;
  return words;
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
