// Mouse, touch, pen and keyboard on the canvas: painting, placing points, zooming.

const MIN_SIZE = 2; // pixels of the photo

export class Painting {
  // hooks: begun() when a stroke begins, painted() when one has changed the mask, picked(x, y) for
  // the tools `face` and `landmarks`, sized(pixels), tool(name).
  constructor(view, hooks) {
    Object.assign(this, {view, hooks, tool: "brush", mask: null, stroke: null});
    this.fingers = new Map();
    const {canvas} = view;
    for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave"]) {
      canvas.addEventListener(name, event => this[name](event));
    }
    canvas.addEventListener("wheel", event => this.wheel(event), {passive: false});
    canvas.addEventListener("keydown", event => this.keydown(event));
    canvas.addEventListener("keyup", event => event.key === " " && this.release());
    canvas.addEventListener("blur", () => this.release());
    canvas.addEventListener("contextmenu", event => event.preventDefault());
  }

  open(mask, largest) {
    Object.assign(this, {mask, largest, stroke: null});
    this.view.cursor = this.view.corner = null;
    this.fingers.clear();
  }

  setSize(pixels) {
    this.size = Math.max(MIN_SIZE, Math.min(this.largest ?? 1000, Math.round(pixels)));
    this.view.brush = this.tool === "brush" || this.tool === "eraser" ? this.size : 0;
    this.hooks.sized(this.size);
    this.view.draw();
  }

  // One step of the bracket keys.
  resize(up) {
    const step = Math.max(1, Math.round(this.size * .15));
    this.setSize(this.size + (up ? step : -step));
  }

  setTool(name) {
    this.cancel();
    this.tool = name;
    this.view.canvas.style.cursor = name === "move" ? "grab" : "crosshair";
    this.setSize(this.size);
    this.hooks.tool(name);
  }

  // --- strokes ---

  begin(x, y, tool = this.tool) {
    if (tool === "face" || tool === "landmarks") return this.hooks.picked(x, y);
    this.hooks.begun();
    this.mask.begin();
    this.stroke = {tool, x, y, startX: x, startY: y};
    if (tool === "rectangle") this.view.corner = [x, y];
    else this.mask.line(x, y, x, y, this.size, tool === "brush" ? 1 : 0);
    this.view.draw();
  }

  extend(x, y) {
    const {stroke} = this;
    if (!stroke) return;
    if (stroke.tool !== "rectangle") {
      this.mask.line(stroke.x, stroke.y, x, y, this.size, stroke.tool === "brush" ? 1 : 0);
    }
    Object.assign(stroke, {x, y});
    this.view.draw();
  }

  finish() {
    const {stroke} = this;
    if (!stroke) return;
    this.stroke = this.view.corner = null;
    if (stroke.tool === "rectangle") {
      this.mask.rectangle(stroke.startX, stroke.startY, stroke.x, stroke.y, 1);
    }
    const changed = this.mask.end();
    this.view.draw();
    this.hooks.painted(changed);
  }

  cancel() {
    if (!this.stroke) return;
    this.stroke = this.view.corner = null;
    this.mask.cancel();
    this.view.draw();
    this.hooks.painted(false);
  }

  // --- mouse, touch, pen ---

  pointerdown(event) {
    if (!this.mask) return;
    this.view.canvas.focus({preventScroll: true});
    event.preventDefault();
    this.view.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.fingers.size > 1) return this.cancel();
    const moves = this.tool === "move" || event.button === 1;
    const point = this.view.at(event);
    this.view.cursor = event.pointerType === "touch" ? null : point;
    this.moving = moves;
    if (!moves && (event.button === 0 || event.button === 5)) {
      this.begin(...point, event.button === 5 ? "eraser" : this.tool);
    }
  }

  pointermove(event) {
    if (!this.mask) return;
    const before = this.fingers.get(event.pointerId);
    if (before) this.drag(event, before);
    if (event.pointerType !== "touch" || this.stroke?.tool === "rectangle") {
      this.view.cursor = this.view.at(event);
      this.view.draw();
    }
  }

  drag(event, before) {
    const now = [event.clientX, event.clientY];
    this.fingers.set(event.pointerId, now);
    if (this.fingers.size === 2) return this.pinch(event, before, now);
    if (this.moving) return this.view.moveBy(now[0] - before[0], now[1] - before[1]);
    for (const part of event.getCoalescedEvents?.() ?? []) this.extend(...this.view.at(part));
    this.extend(...this.view.at(event));
  }

  pinch(event, before, now) {
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)[1];
    const distance = point => Math.hypot(point[0] - other[0], point[1] - other[1]);
    const {left, top} = this.view.canvas.getBoundingClientRect();
    const middle = [(now[0] + other[0]) / 2 - left, (now[1] + other[1]) / 2 - top];
    this.view.moveBy((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    this.view.zoomBy(distance(now) / Math.max(distance(before), 1), ...middle);
  }

  pointerup(event) {
    const single = this.fingers.size === 1;
    this.fingers.delete(event.pointerId);
    if (this.fingers.size) this.moving = true; // the last finger of two paints nothing
    else if (single && !this.moving) this.finish();
  }

  pointercancel(event) {
    this.fingers.delete(event.pointerId);
    this.cancel();
  }

  pointerleave() {
    if (!this.stroke && this.view.cursor) {
      this.view.cursor = null;
      this.view.draw();
    }
  }

  wheel(event) {
    if (!this.mask) return;
    event.preventDefault();
    const {left, top} = this.view.canvas.getBoundingClientRect();
    const lines = event.deltaMode === 1 ? 20 : 1;
    this.view.zoomBy(Math.exp(-event.deltaY * lines * .0015), event.clientX - left, event.clientY - top);
  }

  // --- keyboard ---

  keydown(event) {
    if (!this.mask) return;
    const ways = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    const way = ways[event.key];
    if (way && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.moveCursor(...way, event.shiftKey);
    } else if (event.key === " ") {
      event.preventDefault();
      if (!event.repeat) this.press();
    }
  }

  moveCursor(dx, dy, far) {
    const step = Math.max(1, Math.round(this.size / 4)) * (far ? 8 : 1);
    const {width, height} = this.mask;
    const [x, y] = this.view.cursor ?? [width / 2, height / 2];
    const next = [
      Math.max(.5, Math.min(width - .5, x + dx * step)),
      Math.max(.5, Math.min(height - .5, y + dy * step)),
    ];
    this.view.cursor = next;
    this.extend(...next);
    this.view.reveal(...next);
    this.view.draw();
  }

  press() {
    this.view.cursor ??= [this.mask.width / 2, this.mask.height / 2];
    if (this.stroke?.tool === "rectangle") return this.finish();
    if (this.tool !== "move" && !this.stroke) this.begin(...this.view.cursor);
  }

  release() {
    if (this.stroke && this.stroke.tool !== "rectangle" && !this.fingers.size) this.finish();
  }
}
