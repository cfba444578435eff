// The picture with its boxes: drawn, zoomed, and edited by the pointer.

import { boxAt, colourOf, titleOf } from "./state.js";

const HANDLE = 8; // side of a handle, and how near the pointer must be, in screen pixels
const LEAST = 3; // a smaller box, in screen pixels, is a click

export class View {
  // `actions`: select(id|null), draw(box, anew), change(id, box), region(box), zoomed(scale)
  constructor(canvas, app, actions) {
    this.canvas = canvas;
    this.app = app;
    this.actions = actions;
    this.scale = 0; // screen pixels for one pixel of the video; 0 until it is fitted
    this.x = this.y = 0;
    this.fitted = true;
    this.drag = null;
    this.mode = null; // "new" or "region": what the next drag draws
    this.pointer = null;
    this.mask = null;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", () => this.cancel());
    canvas.addEventListener("pointerleave", () => this.#leave());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  fit() {
    const { width, height } = this.app.state.video;
    const [wide, high] = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.scale = Math.min((wide - 24) / width, (high - 24) / height);
    this.x = (wide - width * this.scale) / 2;
    this.y = (high - height * this.scale) / 2;
    this.fitted = true;
    this.draw();
  }

  zoom(factor, at = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]) {
    const scale = Math.max(0.05, Math.min(40, this.scale * factor));
    this.x = at[0] - ((at[0] - this.x) * scale) / this.scale;
    this.y = at[1] - ((at[1] - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.draw();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.draw();
  }

  cancel() {
    const was = this.drag ?? this.mode;
    this.drag = this.mode = null;
    this.draw();
    return was !== null;
  }

  begin(mode) {
    this.mode = this.mode === mode ? null : mode;
    this.draw();
  }

  // The middle of what is seen, for a box that is drawn by the keyboard.
  middleBox() {
    const { width, height } = this.app.state.video;
    const [x, y] = this.#toVideo(this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
    const side = Math.min(width, height, (0.25 * this.canvas.clientHeight) / this.scale);
    return this.#inside([x - side / 2, y - side / 2, x + side / 2, y + side / 2]);
  }

  draw() {
    const { state, frame, picture } = this.app;
    if (!state || !this.scale) return;
    const context = this.canvas.getContext("2d");
    const ratio = window.devicePixelRatio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const { width, height } = state.video;
    context.imageSmoothingEnabled = this.scale < 3;
    if (picture) {
      context.drawImage(picture, this.x, this.y, width * this.scale, height * this.scale);
    } else {
      context.fillStyle = "#1b1e24";
      context.fillRect(this.x, this.y, width * this.scale, height * this.scale);
    }
    if (this.app.preview === "grabcut" && this.mask?.frame === frame) {
      context.drawImage(this.mask.picture, this.x, this.y, width * this.scale, height * this.scale);
    }
    for (const region of state.regions) {
      if (region.first <= frame && frame <= region.last) this.#drawRegion(context, region.box);
    }
    const selected = this.app.selected;
    for (const object of state.on(frame)) {
      if (object.id !== selected) this.#drawObject(context, object, frame, false);
    }
    const chosen = state.objects.get(selected);
    if (chosen && boxAt(chosen, frame)) this.#drawObject(context, chosen, frame, true);
    this.#drawDrag(context);
    this.#drawCross(context);
    this.canvas.style.cursor = this.#cursor();
    this.actions.zoomed(this.scale);
  }

  #drawObject(context, object, frame, selected) {
    const { human, doubt } = boxAt(object, frame);
    const box = this.#shown(object, frame);
    const [x, y, width, height] = this.#toScreen(box);
    const doubtful = !human && doubt !== null && doubt > this.app.state.settings.doubt;
    const colour = doubtful ? "#ffb224" : colourOf(object);
    context.save();
    this.#fillShape(context, object, [x, y, width, height], colour);
    context.lineWidth = selected ? 2.5 : 1.5;
    context.strokeStyle = "rgba(0, 0, 0, .55)";
    context.strokeRect(x - 1, y - 1, width + 2, height + 2);
    context.strokeStyle = colour;
    context.setLineDash(human ? [] : [7, 4]);
    context.strokeRect(x, y, width, height);
    context.setLineDash([]);
    const note = doubtful ? ` · doubt ${doubt.toFixed(2)}` : human ? "" : " · propagated";
    const text = titleOf(object) + (selected ? note : "");
    if (selected || height > 26) this.#label(context, text, x, selected ? y - 4 : y, colour);
    if (selected) this.#drawHandles(context, box, colour);
    context.restore();
  }

  #fillShape(context, object, [x, y, width, height], colour) {
    const shape = this.app.preview;
    if (shape !== "box" && shape !== "ellipse") return;
    context.globalAlpha = 0.4;
    context.fillStyle = object.ignored ? "#9aa1ad" : colour;
    context.beginPath();
    if (shape === "box" || object.ignored) context.rect(x, y, width, height);
    else context.ellipse(x + width / 2, y + height / 2, width / 2, height / 2, 0, 0, 2 * Math.PI);
    context.fill();
    context.globalAlpha = 1;
  }

  #drawRegion(context, box) {
    const [x, y, width, height] = this.#toScreen(box);
    context.save();
    context.beginPath();
    context.rect(x, y, width, height);
    context.strokeStyle = "#aab1bd";
    context.setLineDash([3, 3]);
    context.stroke();
    context.clip();
    context.setLineDash([]);
    context.globalAlpha = 0.35;
    context.beginPath();
    for (let at = -height; at < width; at += 10) {
      context.moveTo(x + at, y + height);
      context.lineTo(x + at + height, y);
    }
    context.stroke();
    context.restore();
    this.#label(context, "ignored", x, y, "#aab1bd");
  }

  #label(context, text, x, y, colour) {
    context.font = "600 11.5px system-ui, sans-serif";
    const short = text.length > 40 ? `${text.slice(0, 39)}…` : text;
    const width = context.measureText(short).width + 10;
    const top = y < 20 ? Math.max(2, y + 6) : y - 19;
    const left = Math.max(0, Math.min(x - 1, this.canvas.clientWidth - width));
    context.fillStyle = colour;
    context.beginPath();
    context.roundRect(left, top, width, 18, 4);
    context.fill();
    context.fillStyle = "#0d0f12";
    context.textBaseline = "middle";
    context.fillText(short, left + 5, top + 9.5);
  }

  #drawHandles(context, box, colour) {
    for (const [x, y] of this.#handles(box)) {
      context.fillStyle = "#fff";
      context.strokeStyle = colour;
      context.lineWidth = 1.5;
      context.fillRect(x - HANDLE / 2, y - HANDLE / 2, HANDLE, HANDLE);
      context.strokeRect(x - HANDLE / 2, y - HANDLE / 2, HANDLE, HANDLE);
    }
  }

  #drawDrag(context) {
    if (this.drag?.kind !== "draw") return;
    const [x, y, width, height] = this.#toScreen(this.#dragBox());
    context.strokeStyle = "#fff";
    context.lineWidth = 1.5;
    context.strokeRect(x, y, width, height);
  }

  #drawCross(context) {
    if (!this.pointer || (!this.mode && this.drag?.kind !== "draw")) return;
    const [x, y] = this.pointer;
    context.strokeStyle = "rgba(255, 255, 255, .45)";
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x + 0.5, 0);
    context.lineTo(x + 0.5, this.canvas.clientHeight);
    context.moveTo(0, y + 0.5);
    context.lineTo(this.canvas.clientWidth, y + 0.5);
    context.stroke();
  }

  // Left, top, width, height; eight handles, in the order of their names below.
  #handles(box) {
    const [x, y, width, height] = this.#toScreen(box);
    const found = [];
    for (const down of [0, 0.5, 1]) {
      for (const across of [0, 0.5, 1]) {
        if (across !== 0.5 || down !== 0.5) found.push([x + across * width, y + down * height]);
      }
    }
    return found;
  }

  #handleAt(point) {
    const object = this.app.state.objects.get(this.app.selected);
    if (this.mode || !object || !boxAt(object, this.app.frame)) return -1;
    const near = ([x, y]) => Math.max(Math.abs(x - point[0]), Math.abs(y - point[1])) <= HANDLE;
    return this.#handles(this.#shown(object, this.app.frame)).findIndex(near);
  }

  #objectAt(point) {
    if (this.mode) return null;
    const [x, y] = this.#toVideo(...point);
    const hit = this.app.state.on(this.app.frame).filter((object) => {
      const [left, top, width, height] = boxAt(object, this.app.frame).box;
      return left <= x && x <= left + width && top <= y && y <= top + height;
    });
    const area = (object) => {
      const [, , width, height] = boxAt(object, this.app.frame).box;
      return width * height;
    };
    return hit.find((object) => object.id === this.app.selected) ??
      hit.sort((a, b) => area(a) - area(b))[0] ?? null;
  }

  #down(event) {
    const point = [event.offsetX, event.offsetY];
    this.canvas.focus();
    if (!this.app.state || this.drag) return;
    this.canvas.setPointerCapture(event.pointerId);
    if (event.button !== 0 || event.altKey) {
      this.drag = { kind: "pan", from: point, x: this.x, y: this.y };
      return;
    }
    this.app.pause();
    const handle = this.#handleAt(point);
    const object = handle < 0 ? this.#objectAt(point) : this.app.state.objects.get(this.app.selected);
    const from = this.#toVideo(...point);
    if (object) {
      const { box } = boxAt(object, this.app.frame);
      this.actions.select(object.id);
      this.drag = { kind: handle < 0 ? "move" : "size", handle, id: object.id, box, from, to: from };
    } else {
      this.drag = { kind: "draw", from, to: from };
    }
    this.draw();
  }

  #move(event) {
    const point = [event.offsetX, event.offsetY];
    this.pointer = point;
    if (this.drag?.kind === "pan") {
      this.x = this.drag.x + point[0] - this.drag.from[0];
      this.y = this.drag.y + point[1] - this.drag.from[1];
      this.fitted = false;
    } else if (this.drag) {
      this.drag.to = this.#toVideo(...point);
    }
    this.draw();
  }

  #up() {
    const { drag } = this;
    if (!drag) return;
    const box = drag.kind === "pan" ? null : this.#dragBox();
    const moved = drag.kind !== "pan" && this.#moved(drag);
    this.drag = null;
    if (drag.kind === "draw") {
      const mode = this.mode;
      this.mode = null;
      if (!moved || !box) this.actions.select(null);
      else if (mode === "region") this.actions.region(box);
      else this.actions.draw(box, mode === "new");
    } else if (moved && box) {
      this.actions.change(drag.id, box);
    }
    this.draw();
  }

  #leave() {
    this.pointer = null;
    this.draw();
  }

  #moved(drag) {
    const [dx, dy] = [drag.to[0] - drag.from[0], drag.to[1] - drag.from[1]];
    const far = Math.max(Math.abs(dx), Math.abs(dy)) * this.scale;
    if (drag.kind !== "draw") return far >= 1;
    return Math.min(Math.abs(dx), Math.abs(dy)) * this.scale >= LEAST;
  }

  // The box that the drag makes, in pixels of the video.
  #dragBox() {
    const { kind, from, to, box, handle } = this.drag;
    if (kind === "draw") {
      const xs = [from[0], to[0]].sort((a, b) => a - b);
      const ys = [from[1], to[1]].sort((a, b) => a - b);
      return this.#inside([xs[0], ys[0], xs[1], ys[1]]);
    }
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const edges = [box[0], box[1], box[0] + box[2], box[1] + box[3]];
    const place = handle < 4 ? handle : handle + 1; // of nine places, without the middle one
    const [across, down] = handle < 0 ? [-1, -1] : [place % 3, Math.floor(place / 3)];
    if (handle < 0 || across === 0) edges[0] += dx;
    if (handle < 0 || across === 2) edges[2] += dx;
    if (handle < 0 || down === 0) edges[1] += dy;
    if (handle < 0 || down === 2) edges[3] += dy;
    return this.app.legal([
      Math.min(edges[0], edges[2]),
      Math.min(edges[1], edges[3]),
      Math.abs(edges[2] - edges[0]),
      Math.abs(edges[3] - edges[1]),
    ]);
  }

  #inside([left, top, right, bottom]) {
    const { width, height } = this.app.state.video;
    const [x0, x1] = [left, right].map((x) => Math.max(0, Math.min(width, x)));
    const [y0, y1] = [top, bottom].map((y) => Math.max(0, Math.min(height, y)));
    return x1 - x0 < 1 || y1 - y0 < 1 ? null : this.app.legal([x0, y0, x1 - x0, y1 - y0]);
  }

  #shown(object, frame) {
    const drag = this.drag;
    const changing = drag && drag.id === object.id && (drag.kind === "move" || drag.kind === "size");
    return (changing && this.#moved(drag) && this.#dragBox()) || this.app.boxShown(object, frame);
  }

  #toVideo(x, y) {
    return [(x - this.x) / this.scale, (y - this.y) / this.scale];
  }

  #toScreen(box) {
    if (!box) return [0, 0, 0, 0];
    const [left, top, width, height] = box;
    return [
      this.x + left * this.scale,
      this.y + top * this.scale,
      width * this.scale,
      height * this.scale,
    ];
  }

  #cursor() {
    if (this.drag?.kind === "pan") return "grabbing";
    if (this.mode || this.drag?.kind === "draw" || !this.pointer) return "crosshair";
    const handle = this.#handleAt(this.pointer);
    if (handle >= 0) {
      const turns = ["nwse", "ns", "nesw", "ew", "ew", "nesw", "ns", "nwse"];
      return `${turns[handle]}-resize`;
    }
    return this.#objectAt(this.pointer) ? "move" : "crosshair";
  }

  #wheel(event) {
    event.preventDefault();
    if (this.app.state) this.zoom(Math.exp(-event.deltaY / 500), [event.offsetX, event.offsetY]);
  }

  #resize() {
    const ratio = window.devicePixelRatio;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    if (!this.app.state) return;
    if (this.fitted) this.fit();
    else this.draw();
  }
}
