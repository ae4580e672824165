// The photo on the canvas, with all that is drawn over it; zooming and moving.

const MIN_ZOOM = .5, MAX_ZOOM = 40; // times the size that fits; screen pixels of one of the photo

export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.photo = this.mask = this.patch = this.pending = null;
    this.overlay = this.marks = true; // whether mask, faces and landmarks are visible
    this.outlines = [];
    this.points = [];
    this.cursor = null;
    this.corner = null;
    this.split = 0;
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  open(photo, width, height, mask) {
    Object.assign(this, {photo, width, height, mask, patch: null, outlines: [], points: []});
    Object.assign(this, {split: 0, overlay: true, marks: true, cursor: null, corner: null});
    this.resize();
    this.fit();
  }

  resize() {
    const ratio = devicePixelRatio || 1, {clientWidth, clientHeight} = this.canvas;
    const fitted = this.isFitted;
    this.ratio = ratio;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    if (this.photo && fitted !== false) this.fit();
    this.draw();
  }

  get fitting() {
    return Math.min(this.canvas.width / this.width, this.canvas.height / this.height) || 1;
  }

  fit() {
    this.zoom = this.fitting * .98;
    this.left = (this.canvas.width - this.width * this.zoom) / 2;
    this.top = (this.canvas.height - this.height * this.zoom) / 2;
    this.isFitted = true;
    this.draw();
  }

  // Zooms by a factor around a point of the canvas in CSS pixels, by default its middle.
  zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const zoom = Math.max(this.fitting * MIN_ZOOM, Math.min(MAX_ZOOM * this.ratio, this.zoom * factor));
    const [cx, cy] = [x * this.ratio, y * this.ratio];
    this.left = cx - (cx - this.left) * zoom / this.zoom;
    this.top = cy - (cy - this.top) * zoom / this.zoom;
    this.zoom = zoom;
    this.isFitted = false;
    this.draw();
  }

  moveBy(dx, dy) {
    this.left += dx * this.ratio;
    this.top += dy * this.ratio;
    this.isFitted = false;
    this.draw();
  }

  // Converts a pointer's position in the window to pixels of the photo.
  at(event) {
    const {left, top} = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - left) * this.ratio - this.left) / this.zoom,
      ((event.clientY - top) * this.ratio - this.top) / this.zoom,
    ];
  }

  // Moves the picture so that a point of the photo is visible.
  reveal(x, y) {
    const px = x * this.zoom + this.left, py = y * this.zoom + this.top, edge = 20 * this.ratio;
    const dx = Math.max(edge - px, 0) || Math.min(this.canvas.width - edge - px, 0);
    const dy = Math.max(edge - py, 0) || Math.min(this.canvas.height - edge - py, 0);
    if (dx || dy) this.moveBy(dx / this.ratio, dy / this.ratio);
  }

  // Shows a picture in a box of the photo; `masked` cuts it to the hole.
  show(picture, box, masked) {
    this.patch = null;
    if (picture) {
      const scale = masked ? this.mask.scale : 1, [left, top, width, height] = box;
      const canvas = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
      const context = canvas.getContext("2d"), whole = [0, 0, canvas.width, canvas.height];
      context.drawImage(picture, ...whole);
      if (masked) {
        context.globalCompositeOperation = "destination-in";
        context.drawImage(this.mask.picture, left * scale, top * scale, width * scale,
          height * scale, ...whole);
      }
      if (scale === 1) { // with the photo below, or its edges show when it is enlarged
        context.globalCompositeOperation = "destination-over";
        context.drawImage(this.photo, ...box, ...whole);
      }
      this.patch = {picture: canvas, box};
    }
    this.draw();
  }

  draw() {
    this.pending ??= requestAnimationFrame(() => {
      this.pending = null;
      this.drawNow();
    });
  }

  drawNow() {
    const {context: c, canvas} = this;
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.photo) return;
    c.setTransform(this.zoom, 0, 0, this.zoom, this.left, this.top);
    c.imageSmoothingEnabled = this.zoom < 4;
    c.imageSmoothingQuality = "high";
    c.drawImage(this.photo, 0, 0, this.width, this.height);
    const from = this.split * this.width;
    if (this.patch) {
      c.save();
      c.beginPath();
      c.rect(from, 0, this.width - from, this.height);
      c.clip();
      c.drawImage(this.patch.picture, ...this.patch.box);
      c.restore();
    }
    if (this.overlay) {
      c.globalAlpha = this.patch ? .1 : .55;
      c.drawImage(this.mask.picture, 0, 0, this.width, this.height);
      c.globalAlpha = 1;
    }
    if (this.split > 0 && this.split < 1) this.lines([[[from, 0], [from, this.height]]], false);
    if (this.marks) {
      this.outlines.forEach(({corners, chosen}) => this.lines([corners], true, chosen));
      this.points.forEach(([x, y], i) => this.dot(x, y, i + 1));
    }
    if (this.corner && this.cursor) this.box(this.corner, this.cursor);
    if (this.cursor) this.ring();
  }

  // Draws lines in black and white, visible on any photo.
  lines(paths, closed, strong = true) {
    const c = this.context;
    for (const [colour, width] of [["#000", 4], [strong ? "#ffe14d" : "#fff", 2]]) {
      c.strokeStyle = colour;
      c.lineWidth = width * this.ratio / this.zoom;
      for (const path of paths) {
        c.beginPath();
        path.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
        if (closed) c.closePath();
        c.stroke();
      }
    }
  }

  box([x0, y0], [x1, y1]) {
    this.lines([[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]], true, false);
  }

  dot(x, y, number) {
    const c = this.context, r = 5 * this.ratio / this.zoom;
    c.beginPath();
    c.arc(x, y, r, 0, 7);
    c.fillStyle = "#ffe14d";
    c.fill();
    c.lineWidth = r / 4;
    c.strokeStyle = "#000";
    c.stroke();
    c.font = `bold ${3 * r}px sans-serif`;
    c.lineWidth = r / 2;
    c.strokeText(number, x + 1.5 * r, y);
    c.fillText(number, x + 1.5 * r, y);
  }

  ring() {
    const c = this.context, [x, y] = this.cursor, line = this.ratio / this.zoom;
    const r = Math.max(this.brush / 2, 2 * line);
    for (const [colour, radius] of [["#000", r + line], ["#fff", r]]) {
      c.strokeStyle = colour;
      c.lineWidth = line;
      c.beginPath();
      c.arc(x, y, radius, 0, 7);
      c.stroke();
    }
    c.beginPath();
    for (const [dx, dy] of [[1, 0], [0, 1]]) {
      c.moveTo(x - 3 * line * dx, y - 3 * line * dy);
      c.lineTo(x + 3 * line * dx, y + 3 * line * dy);
    }
    c.stroke();
  }
}
