// Which face is completed: found, chosen, or placed by its landmarks.

import {askJson} from "./client.js";
import {session, view} from "./session.js";
import {$, download, makeButton, on} from "./ui.js";

const LANDMARKS = ["the inner corner of the eye on the left of the picture",
  "the inner corner of the eye on the right of the picture",
  "the middle of the lower lip, at its lower edge"];

export class Faces {
  // hooks: found() when the server has found faces, changed() when the user has chosen another
  // one, tool(name) to change the tool, and picking(), whether the tool is `face`.
  constructor(hooks) {
    this.hooks = hooks;
    this.close();
    on("landmarks-again", "click", () => this.askLandmarks());
    on("landmarks-on", "click", () => this.askLandmarks());
    on("landmarks-off", "click", () => this.leaveLandmarks());
    on("save-landmarks", "click", () =>
      download(new Blob([this.landmarks.map(point => `${point.join()}\n`).join("")]), "landmarks.txt"));
  }

  close() {
    this.found = [];
    this.chosen = null; // an index in `found`; null: all that are painted over
    this.landmarks = null;
    $("faces").hidden = $("landmarks").hidden = true;
  }

  async find(photo) {
    const {faces} = await photo.use(at => askJson("GET", `${at}/faces`));
    if (photo !== session.remote) return;
    this.found = faces;
    if (!faces.length) return this.askLandmarks();
    $("faces").hidden = faces.length < 2;
    $("face-choices").replaceChildren(...[null, ...faces.keys()].map(i =>
      makeButton(() => this.choose(i), i === null ? "All painted over" : `Face ${i + 1}`)));
    if (faces.length > 1 && !session.area) this.hooks.tool("face");
    this.show(null);
    this.hooks.found();
  }

  // The user has chosen a face.
  choose(i) {
    this.show(i);
    if (this.hooks.picking()) this.hooks.tool("brush");
    if (session.area) this.hooks.changed();
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
    const distances = this.found.map(centre).map(([cx, cy]) => Math.hypot(cx - x, cy - y));
    this.choose(distances.indexOf(Math.min(...distances)));
  }

  // --- landmarks ---

  askLandmarks() {
    this.landmarks = [];
    $("landmarks").hidden = false;
    $("landmarks-off").hidden = !this.found.length;
    this.hooks.tool("landmarks");
    this.showLandmarks();
  }

  leaveLandmarks() {
    this.landmarks = null;
    view.points = [];
    $("landmarks").hidden = true;
    this.hooks.tool("brush");
    view.draw();
    if (session.area) this.hooks.changed();
  }

  place(x, y) {
    if (this.landmarks.length < 3) {
      this.landmarks.push([x - .5, y - .5].map(v => Math.round(v * 100) / 100));
    }
    this.showLandmarks();
    if (this.landmarks.length === 3) {
      this.hooks.tool("brush");
      if (session.area) this.hooks.changed();
    }
  }

  showLandmarks() {
    const next = LANDMARKS[this.landmarks.length];
    const why = this.found.length ? "" : "No face was found. ";
    const other = this.found.length ? "" : " Or paint first, over what hides the face.";
    $("landmark-text").textContent = next
      ? `${why}Click ${this.landmarks.length + 1} of 3: ${next}.${other}`
      : "The face is where you marked it.";
    view.points = this.landmarks.map(([x, y]) => [x + .5, y + .5]);
    view.draw();
  }

  // The query of a request about a part of the mask, and a face.
  query(area, more = {}) {
    const query = new URLSearchParams({left: area.left, top: area.top, ...more});
    if (this.landmarks?.length === 3) query.set("landmarks", this.landmarks.flat().join());
    else if (this.chosen !== null) {
      query.set("point", centre(this.found[this.chosen]).map(v => v.toFixed(2)).join());
    }
    return query;
  }
}

function centre({corners}) {
  return [0, 1].map(axis => corners.reduce((sum, corner) => sum + corner[axis], 0) / 4);
}
