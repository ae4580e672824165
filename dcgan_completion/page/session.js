// The photo and its mask, shared by all parts of the page.

import {Mask} from "./mask.js";
import {View} from "./view.js";
import {$} from "./ui.js";

export const view = new View($("view"));

export const session = {
  model: null, // what the server says of its model
  remote: null, // the photo on the server
  mask: null,
  name: "photo.png",

  get stem() { return this.name.replace(/\.[^.]*$/, "") || "photo"; },
  get area() { return this.mask?.bounds() ?? null; },

  open(remote, name, {width, height}, picture) {
    this.remote = remote;
    this.name = name || "photo.png";
    this.mask = new Mask(width, height);
    view.open(picture, width, height, this.mask);
  },

  close() {
    this.remote?.drop();
    this.remote = this.mask = null;
  },
};
