// What is painted: a byte for every pixel of the photo, 1 = the hole, with undo and redo.

const MAX_STEPS = 100;
const MAX_EDGE = 4096; // pixels of the picture of it
const COLOUR = [230, 30, 120, 255];

const union = (a, b) => !a ? b : !b ? a : {
  left: Math.min(a.left, b.left), top: Math.min(a.top, b.top),
  right: Math.max(a.right, b.right), bottom: Math.max(a.bottom, b.bottom),
};

export class Mask {
  constructor(width, height) {
    Object.assign(this, {width, height});
    this.bits = new Uint8Array(width * height);
    this.scale = Math.min(1, MAX_EDGE / Math.max(width, height));
    this.picture = document.createElement("canvas");
    this.picture.width = Math.max(1, Math.round(width * this.scale));
    this.picture.height = Math.max(1, Math.round(height * this.scale));
    this.context = this.picture.getContext("2d");
    this.done = [];
    this.undone = [];
    this.begun = null;
  }

  get whole() {
    return {left: 0, top: 0, right: this.width, bottom: this.height};
  }

  begin() {
    this.begun = {bits: this.bits.slice(), dirty: null};
  }

  // Ends a step; returns whether it has changed anything.
  end() {
    const {bits, dirty} = this.begun ?? {};
    this.begun = null;
    if (!dirty) return false;
    const before = cut(bits, this.width, dirty);
    const after = cut(this.bits, this.width, dirty);
    if (before.every((value, i) => value === after[i])) return false;
    this.done.push({dirty, before, after});
    if (this.done.length > MAX_STEPS) this.done.shift();
    this.undone = [];
    return true;
  }

  cancel() {
    if (!this.begun) return;
    const {bits, dirty} = this.begun;
    this.begun = null;
    this.bits = bits;
    this.show(dirty);
  }

  undo() { return this.step(this.done, this.undone, "before"); }
  redo() { return this.step(this.undone, this.done, "after"); }

  step(from, to, side) {
    const change = from.pop();
    if (!change) return false;
    to.push(change);
    paste(this.bits, this.width, change.dirty, change[side]);
    this.show(change.dirty);
    return true;
  }

  // Draws a line with round ends: the pixels whose centres are within half a width of it.
  line(x0, y0, x1, y1, width, value) {
    const r = width / 2, dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy;
    const area = this.clip(Math.min(x0, x1) - r, Math.min(y0, y1) - r,
      Math.max(x0, x1) + r + 1, Math.max(y0, y1) + r + 1);
    for (let y = area.top; y < area.bottom; y++) {
      for (let x = area.left; x < area.right; x++) {
        const px = x + .5 - x0, py = y + .5 - y0;
        const t = length ? Math.max(0, Math.min(1, (px * dx + py * dy) / length)) : 0;
        const ex = px - t * dx, ey = py - t * dy;
        if (ex * ex + ey * ey <= r * r) this.bits[y * this.width + x] = value;
      }
    }
    this.changed(area);
  }

  rectangle(x0, y0, x1, y1, value) {
    const area = this.clip(Math.min(x0, x1), Math.min(y0, y1),
      Math.max(x0, x1) + 1, Math.max(y0, y1) + 1);
    for (let y = area.top; y < area.bottom; y++) {
      this.bits.fill(value, y * this.width + area.left, y * this.width + area.right);
    }
    this.changed(area);
  }

  clear() {
    this.begin();
    this.bits.fill(0);
    this.changed(this.whole);
    return this.end();
  }

  // Loads a picture of the photo's size: white is the hole.
  async load(blob) {
    const bitmap = await createImageBitmap(blob);
    const canvas = new OffscreenCanvas(this.width, this.height);
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.drawImage(bitmap, 0, 0);
    const {data} = context.getImageData(0, 0, this.width, this.height);
    this.begin();
    for (let i = 0; i < this.bits.length; i++) this.bits[i] = data[4 * i] >= 128 ? 1 : 0;
    this.changed(this.whole);
    return this.end();
  }

  clip(left, top, right, bottom) {
    return {
      left: Math.max(0, Math.floor(left)), top: Math.max(0, Math.floor(top)),
      right: Math.min(this.width, Math.ceil(right)), bottom: Math.min(this.height, Math.ceil(bottom)),
    };
  }

  changed(area) {
    if (area.right <= area.left || area.bottom <= area.top) return;
    if (this.begun) this.begun.dirty = union(this.begun.dirty, area);
    this.show(area);
  }

  // Draws a part of it again.
  show(area) {
    if (!area) return;
    const s = this.scale;
    const left = Math.floor(area.left * s), top = Math.floor(area.top * s);
    const right = Math.min(this.picture.width, Math.ceil(area.right * s));
    const bottom = Math.min(this.picture.height, Math.ceil(area.bottom * s));
    if (right <= left || bottom <= top) return;
    const image = this.context.createImageData(right - left, bottom - top);
    const pixels = new Uint32Array(image.data.buffer);
    const colour = new Uint32Array(new Uint8Array(COLOUR).buffer)[0];
    for (let y = top, i = 0; y < bottom; y++) {
      const row = Math.min(this.height - 1, Math.floor((y + .5) / s)) * this.width;
      for (let x = left; x < right; x++, i++) {
        pixels[i] = this.bits[row + Math.min(this.width - 1, Math.floor((x + .5) / s))] ? colour : 0;
      }
    }
    this.context.putImageData(image, left, top);
  }

  // The bounding box of the hole; null without one.
  bounds() {
    const {bits, width, height} = this;
    const first = bits.indexOf(1);
    if (first < 0) return null;
    const top = Math.floor(first / width), bottom = Math.floor(bits.lastIndexOf(1) / width) + 1;
    let left = width, right = 0;
    for (let y = top; y < bottom; y++) {
      const row = bits.subarray(y * width, (y + 1) * width);
      const start = row.indexOf(1);
      if (start < 0) continue;
      left = Math.min(left, start);
      right = Math.max(right, row.lastIndexOf(1) + 1);
    }
    return {left, top, right, bottom};
  }

  // A part of it as PNG, white = the hole.
  png(area) {
    const width = area.right - area.left, height = area.bottom - area.top;
    const canvas = new OffscreenCanvas(width, height);
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    cut(this.bits, this.width, area).forEach((bit, i) => { pixels[i] = bit ? 0xffffffff : 0xff000000; });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas.convertToBlob({type: "image/png"});
  }
}

function cut(bits, stride, {left, top, right, bottom}) {
  const width = right - left, part = new Uint8Array(width * (bottom - top));
  for (let y = top; y < bottom; y++) {
    part.set(bits.subarray(y * stride + left, y * stride + right), (y - top) * width);
  }
  return part;
}

function paste(bits, stride, {left, top, right, bottom}, part) {
  const width = right - left;
  for (let y = top; y < bottom; y++) {
    bits.set(part.subarray((y - top) * width, (y - top + 1) * width), y * stride + left);
  }
}
