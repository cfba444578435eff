// A row for each object: key boxes, propagated spans, doubtful frames; above them the frames' states.

import { colourOf, titleOf } from "./state.js";

const LABELS = 168;
const RULER = 22;
const STATES = 12;
const ROW = 22;
const EDGE = 12;

export class Timeline {
  // `actions`: go(frame), select(id)
  constructor(canvas, app, actions) {
    this.canvas = canvas;
    this.app = app;
    this.actions = actions;
    this.scroll = 0;
    this.from = 0; // first frame that is seen
    this.zoom = 1; // 1 shows the whole video
    this.dragging = false;
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", () => (this.dragging = false));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  get #span() {
    return Math.max(1, this.app.state.video.length / this.zoom);
  }

  get #width() {
    return this.canvas.clientWidth - LABELS - 2 * EDGE;
  }

  #x(frame) {
    return LABELS + EDGE + ((frame - this.from) / this.#span) * this.#width;
  }

  #frame(x) {
    const frame = Math.floor(this.from + ((x - LABELS - EDGE) / this.#width) * this.#span);
    return Math.max(0, Math.min(this.app.state.video.length - 1, frame));
  }

  // Scroll so that the selected object and the current frame are seen.
  reveal() {
    const { state, selected, frame } = this.app;
    const place = state.all.findIndex((object) => object.id === selected);
    const seen = this.#rowsHeight();
    if (place >= 0) {
      this.scroll = Math.min(this.scroll, place * ROW);
      this.scroll = Math.max(this.scroll, (place + 1) * ROW - seen);
    }
    if (frame < this.from || frame >= this.from + this.#span) this.#show(frame - this.#span / 2);
  }

  draw() {
    if (!this.app.state) return;
    const ratio = window.devicePixelRatio;
    const [wide, high] = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.canvas.width = Math.round(wide * ratio);
    this.canvas.height = Math.round(high * ratio);
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.textBaseline = "middle";
    this.#drawRows(context, wide, high);
    context.fillStyle = "#1b1e24";
    context.fillRect(0, 0, wide, RULER + STATES);
    this.#drawRuler(context, wide);
    this.#drawStates(context);
    this.#drawPlayhead(context, high);
  }

  #drawRows(context, wide, high) {
    const objects = this.app.state.all;
    this.scroll = Math.max(0, Math.min(this.scroll, objects.length * ROW - this.#rowsHeight()));
    const first = Math.floor(this.scroll / ROW);
    const count = Math.ceil(high / ROW) + 1;
    if (!objects.length) {
      context.fillStyle = "#929aa8";
      context.font = "13px system-ui, sans-serif";
      context.fillText("Each object gets a row here.", 14, RULER + STATES + 24);
    }
    objects.slice(first, first + count).forEach((object, place) => {
      this.#drawRow(context, object, RULER + STATES + (first + place) * ROW - this.scroll, wide);
    });
  }

  #drawRow(context, object, top, wide) {
    const selected = object.id === this.app.selected;
    const middle = top + ROW / 2;
    const colour = colourOf(object);
    context.fillStyle = selected ? "#262a32" : "#14161a";
    context.fillRect(0, top, wide, ROW);
    context.strokeStyle = "#22262d";
    context.beginPath();
    context.moveTo(0, top + ROW - 0.5);
    context.lineTo(wide, top + ROW - 0.5);
    context.stroke();
    context.save();
    context.beginPath();
    context.rect(LABELS, top, wide - LABELS, ROW);
    context.clip();
    this.#drawSpans(context, object, middle, colour);
    this.#drawKeys(context, object, middle, colour);
    context.restore();
    this.#drawName(context, object, middle, colour, selected);
  }

  #drawName(context, object, middle, colour, selected) {
    context.fillStyle = colour;
    context.beginPath();
    context.roundRect(14, middle - 5, 10, 10, 3);
    context.fill();
    context.save();
    context.beginPath();
    context.rect(0, middle - ROW / 2, LABELS - 8, ROW);
    context.clip();
    context.fillStyle = selected ? "#ffffff" : "#c3c9d3";
    context.font = `${selected ? 600 : 400} 12.5px system-ui, sans-serif`;
    context.fillText(titleOf(object) + (object.ignored ? " (ignored)" : ""), 32, middle);
    context.restore();
  }

  #drawSpans(context, object, middle, colour) {
    const limit = this.app.state.settings.doubt;
    for (const span of object.fills) {
      const [x0, x1] = [this.#x(span.first), this.#x(span.first + span.boxes.length)];
      context.globalAlpha = 0.5;
      context.fillStyle = colour;
      context.fillRect(x0, middle - 4, Math.max(1, x1 - x0), 8);
      context.globalAlpha = 1;
      context.fillStyle = "#ffb224";
      let begin = -1;
      for (let place = 0; place <= span.doubt.length; place += 1) {
        const flagged = place < span.doubt.length && span.doubt[place] > limit;
        if (flagged && begin < 0) begin = place;
        if (!flagged && begin >= 0) {
          const left = this.#x(span.first + begin);
          const right = this.#x(span.first + place);
          context.fillRect(left, middle - 4, Math.max(2, right - left), 8);
          begin = -1;
        }
      }
    }
  }

  #drawKeys(context, object, middle, colour) {
    const step = this.#width / this.#span;
    for (const frame of object.frames) {
      const x = this.#x(frame + 0.5);
      if (object.keys.get(frame)) {
        context.globalAlpha = 0.5;
        context.fillStyle = colour;
        context.fillRect(this.#x(frame), middle - 4, step, 8);
        context.globalAlpha = 1;
      }
      if (object.keys.get(frame) === null) {
        context.strokeStyle = colour;
        context.lineWidth = 2;
        context.beginPath();
        context.moveTo(x - 4, middle - 4);
        context.lineTo(x + 4, middle + 4);
        context.moveTo(x + 4, middle - 4);
        context.lineTo(x - 4, middle + 4);
        context.stroke();
        context.lineWidth = 1;
        continue;
      }
      const side = Math.max(3.5, Math.min(6, step));
      context.fillStyle = "#ffffff";
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.beginPath();
      context.moveTo(x, middle - side);
      context.lineTo(x + side, middle);
      context.lineTo(x, middle + side);
      context.lineTo(x - side, middle);
      context.closePath();
      context.fill();
      context.stroke();
      context.lineWidth = 1;
    }
  }

  #drawRuler(context, wide) {
    const least = (72 / this.#width) * this.#span;
    const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= least) ?? 10 * power;
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = "#929aa8";
    context.strokeStyle = "#3a404b";
    const last = Math.min(this.app.state.video.length - 1, this.from + this.#span);
    for (let frame = Math.ceil(this.from / step) * step; frame <= last; frame += step) {
      const x = Math.round(this.#x(frame + 0.5)) + 0.5;
      context.beginPath();
      context.moveTo(x, RULER - 5);
      context.lineTo(x, RULER);
      context.stroke();
      const text = String(frame);
      const room = wide - x - context.measureText(text).width / 2;
      const hidden = Math.abs(x - this.#x(this.app.frame + 0.5)) < 30;
      if (room > 2 && !hidden) context.fillText(text, x - context.measureText(text).width / 2, 9);
    }
  }

  #drawStates(context) {
    const { state, list, ready } = this.app;
    const top = RULER + 2;
    const box = (first, last, colour, height = 5) => {
      const left = Math.max(LABELS + EDGE, this.#x(first));
      const right = Math.min(LABELS + EDGE + this.#width, this.#x(last));
      context.fillStyle = colour;
      if (right > left) context.fillRect(left, top, Math.max(1, right - left), height);
    };
    box(0, state.video.length, "#262a32");
    box(0, ready, "#3a404b");
    for (const [first, last] of state.finished) box(first, last + 1, "#35c98f");
    context.fillStyle = "#e4e7ec";
    for (const frame of list) {
      const x = this.#x(frame + 0.5);
      if (x >= LABELS + EDGE) context.fillRect(x - 1, top - 1, 2, 8);
    }
    context.fillStyle = "#929aa8";
    context.font = "11px system-ui, sans-serif";
    const { size } = state.objects;
    context.fillText(size === 1 ? "1 object" : `${size} objects`, 14, 12);
  }

  #drawPlayhead(context, high) {
    const x = this.#x(this.app.frame + 0.5);
    if (x < LABELS + EDGE || x > LABELS + EDGE + this.#width) return;
    context.fillStyle = "#ffffff";
    context.fillRect(x - 0.75, 0, 1.5, high);
    context.font = "600 11px system-ui, sans-serif";
    const text = String(this.app.frame);
    const width = context.measureText(text).width + 12;
    const left = Math.min(x - width / 2, this.canvas.clientWidth - width - 1);
    context.beginPath();
    context.roundRect(left, 1, width, 16, 4);
    context.fill();
    context.fillStyle = "#0d0f12";
    context.fillText(text, left + 6, 9.5);
  }

  #rowsHeight() {
    return this.canvas.clientHeight - RULER - STATES;
  }

  #down(event) {
    if (!this.app.state) return;
    const { offsetX: x, offsetY: y } = event;
    const place = Math.floor((y - RULER - STATES + this.scroll) / ROW);
    const object = y > RULER + STATES ? this.app.state.all[place] : undefined;
    if (object) this.actions.select(object.id);
    if (x < LABELS) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.dragging = true;
    this.actions.go(this.#frame(x));
  }

  #move(event) {
    if (this.dragging) this.actions.go(this.#frame(event.offsetX));
  }

  #wheel(event) {
    event.preventDefault();
    if (!this.app.state) return;
    if (event.ctrlKey || event.metaKey) {
      const at = this.from + ((event.offsetX - LABELS - EDGE) / this.#width) * this.#span;
      const most = Math.max(1, this.app.state.video.length / 20);
      const before = this.#span;
      this.zoom = Math.max(1, Math.min(most, this.zoom * Math.exp(-event.deltaY / 400)));
      this.#show(at - ((at - this.from) * this.#span) / before);
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const by = event.deltaX || event.deltaY;
      this.#show(this.from + (by / this.#width) * this.#span);
    } else {
      this.scroll += event.deltaY / 2;
    }
    this.draw();
  }

  #show(first) {
    this.from = Math.max(0, Math.min(this.app.state.video.length - this.#span, first));
  }
}
