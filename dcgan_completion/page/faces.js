// Which face is completed: found, chosen, or placed by its landmarks.

import {askJson} from "./client.js";
import {$, on, save} from "./words.js";
import {view, work} from "./work.js";

const LANDMARKS = ["the inner corner of the eye at the left of the picture",
  "the inner corner of the eye at the right of the picture",
  "the middle of the lower lip's lower edge"];

export class Faces {
  // hooks: found() when the server has found faces, changed() when the user has chosen another
  // one, tool(name) to change the tool, and picking(), whether it is the tool `face`.
  constructor(hooks) {
    this.hooks = hooks;
    this.close();
    on("landmarks-again", "click", () => this.askLandmarks());
    on("landmarks-on", "click", () => this.askLandmarks());
    on("landmarks-off", "click", () => this.leaveLandmarks());
    on("save-landmarks", "click", () =>
      save(new Blob([this.landmarks.map(point => `${point.join()}\n`).join("")]), "landmarks.txt"));
  }

  close() {
    this.found = [];
    this.chosen = null; // the number of one in `found`; null: all that are touched
    this.landmarks = null;
    $("faces").hidden = $("landmarks").hidden = true;
  }

  async find(photo) {
    const {faces} = await photo.use(at => askJson("GET", `${at}/faces`));
    if (photo !== work.remote) return;
    this.found = faces;
    if (!faces.length) return this.askLandmarks();
    $("faces").hidden = faces.length < 2;
    $("face-choices").replaceChildren(...[null, ...faces.keys()].map(i => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = i === null ? "Those under the paint" : `Face ${i + 1}`;
      button.addEventListener("click", () => this.choose(i));
      return button;
    }));
    if (faces.length > 1 && !work.area) this.hooks.tool("face");
    this.show(null);
    this.hooks.found();
  }

  // Takes a face by the user's choice.
  choose(i) {
    this.show(i);
    if (this.hooks.picking()) this.hooks.tool("brush");
    if (work.area) this.hooks.changed();
  }

  show(i) {
    this.chosen = i;
    [...$("face-choices").children].forEach((button, k) =>
      button.setAttribute("aria-pressed", k === (i === null ? 0 : i + 1)));
    view.outlines = this.found.map(({corners}, k) =>
      ({corners, chosen: i === null ? this.found.length === 1 : k === i}));
    view.draw();
  }

  // A click with the tool `face` or `landmarks`.
  pick(tool, x, y) {
    if (tool === "landmarks") return this.place(x, y);
    const away = this.found.map(centre).map(([cx, cy]) => Math.hypot(cx - x, cy - y));
    this.choose(away.indexOf(Math.min(...away)));
  }

  // --- landmarks ---

  askLandmarks() {
    this.landmarks = [];
    $("landmarks").hidden = false;
    $("landmarks-off").hidden = !this.found.length;
    this.hooks.tool("landmarks");
    this.tellLandmarks();
  }

  leaveLandmarks() {
    this.landmarks = null;
    view.points = [];
    $("landmarks").hidden = true;
    this.hooks.tool("brush");
    view.draw();
    if (work.area) this.hooks.changed();
  }

  place(x, y) {
    if (this.landmarks.length < 3) {
      this.landmarks.push([x - .5, y - .5].map(v => Math.round(v * 100) / 100));
    }
    this.tellLandmarks();
    if (this.landmarks.length === 3) {
      this.hooks.tool("brush");
      if (work.area) this.hooks.changed();
    }
  }

  tellLandmarks() {
    const next = LANDMARKS[this.landmarks.length];
    const why = this.found.length ? "" : "No face was found. ";
    const other = this.found.length ? "" : "; or paint, if paint hides the face";
    $("landmark-text").textContent = next
      ? `${why}Click ${this.landmarks.length + 1} of 3: ${next}${other}.`
      : "The face is where you have placed its landmarks.";
    view.points = this.landmarks.map(([x, y]) => [x + .5, y + .5]);
    view.draw();
  }

  // What the address of a request says about mask and face.
  query(area, more = {}) {
    const words = new URLSearchParams({left: area.left, top: area.top, ...more});
    if (this.landmarks?.length === 3) words.set("landmarks", this.landmarks.flat().join());
    else if (this.chosen !== null) {
      words.set("point", centre(this.found[this.chosen]).map(v => v.toFixed(2)).join());
    }
    return words;
  }
}

function centre({corners}) {
  return [0, 1].map(axis => corners.reduce((sum, corner) => sum + corner[axis], 0) / 4);
}
