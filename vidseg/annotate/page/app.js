// One open video: its state, what is shown, and every action of keys, buttons and pointer.

import { VideoApi } from "./api.js";
import { Frames } from "./frames.js";
import { State, boxAt } from "./state.js";

export const PREVIEWS = ["off", "box", "ellipse", "grabcut"];

export class App {
  // `changed`: draw everything anew; `say(text)`: an error; `saved(state, text)`
  constructor(hooks) {
    this.hooks = hooks;
    this.preview = "off";
    this.lastName = "";
    this.state = null;
  }

  async open(number, list) {
    this.close();
    this.number = number;
    this.list = list;
    const api = new VideoApi(number);
    const loaded = await api.load();
    this.api = api;
    this.state = new State(loaded.video);
    this.state.take(loaded);
    this.frame = 0;
    this.selected = null;
    this.pending = new Map();
    this.nextId = 1;
    this.status = loaded.status;
    this.ready = loaded.status.ready;
    this.playing = false;
    this.picture = null;
    this.frames = new Frames(api, loaded.video, (index) => this.#came(index));
    this.frames.setReady(this.ready);
    this.source = api.listen((status) => this.#told(status), () => this.#lost());
    this.go(0);
  }

  close() {
    this.source?.close();
    this.frames?.close();
    this.state = null;
  }

  // Frames

  get last() {
    return this.state.video.length - 1;
  }

  go(frame) {
    this.frame = Math.max(0, Math.min(this.last, Math.round(frame) || 0));
    this.frames.want(this.frame, this.playing);
    this.picture = this.frames.get(this.frame) ?? (this.playing ? this.picture : null);
    this.hooks.changed();
  }

  play() {
    if (this.playing) return this.pause();
    this.playing = true;
    if (this.frame === this.last) this.go(0);
    const step = 1000 / Math.min(120, this.state.video.fps ?? 25);
    let due = performance.now() + step;
    const tick = (now) => {
      if (!this.playing) return;
      if (this.frame >= this.last) return this.pause();
      if (now >= due - 2) {
        if (this.frames.get(this.frame + 1)) {
          due = Math.max(due + step, now);
          this.go(this.frame + 1);
        } else {
          this.frames.want(this.frame + 1, true);
        }
      }
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    return this.hooks.changed();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.go(this.frame);
  }

  #came(index) {
    if (index !== this.frame) return;
    this.picture = this.frames.get(index);
    this.hooks.changed();
  }


  // Objects and boxes

  get object() {
    return this.state.objects.get(this.selected) ?? null;
  }

  select(id) {
    this.selected = id;
    this.hooks.changed();
  }

  // Whether gaps of the object are filled at this moment, so that a box may come here yet.
  isTracked(object) {
    const { fill } = this.status;
    return fill.total > 0 && fill.ids.includes(object.id);
  }

  boxShown(object, frame) {
    const held = this.pending.get(object.id);
    return held?.frame === frame ? held.box : boxAt(object, frame)?.box ?? null;
  }

  // A box as it may be saved: two decimals, a pixel at least, and a part of it on the frame.
  legal([left, top, width, height]) {
    const { width: wide, height: high } = this.state.video;
    const round = (value) => Math.round(value * 100) / 100;
    const [w, h] = [Math.max(1, width), Math.max(1, height)];
    return [
      round(Math.max(1 - w, Math.min(wide - 1, left))),
      round(Math.max(1 - h, Math.min(high - 1, top))),
      round(w),
      round(h),
    ];
  }

  draw(box, anew) {
    const object = this.object;
    if (object && !anew && !boxAt(object, this.frame)) return this.change(object.id, box);
    const id = Math.max(this.nextId, this.state.freeId());
    this.nextId = id + 1;
    this.selected = id;
    const record = { id, name: this.lastName, keys: { [this.frame]: box } };
    return this.send({ op: "object", object: record });
  }

  async change(id, box) {
    const held = { frame: this.frame, box };
    this.pending.set(id, held);
    await this.send({ op: "key", id, frame: this.frame, box });
    if (this.pending.get(id) === held) this.pending.delete(id);
    this.hooks.changed();
  }

  nudge(by) {
    const object = this.object;
    const box = object && this.boxShown(object, this.frame);
    if (box) this.change(object.id, this.legal(box.map((side, place) => side + by[place])));
  }

  confirm(middle) {
    const object = this.object;
    const found = object && boxAt(object, this.frame);
    if (object && !found && this.isTracked(object)) {
      this.hooks.say("The object is being tracked: wait for its box, or drag one.");
    } else if (!found) this.draw(middle, false);
    else if (!found.human) this.change(object.id, this.legal(found.box));
  }

  removeKey() {
    if (this.object?.keys.has(this.frame)) {
      this.send({ op: "key", id: this.selected, frame: this.frame });
    }
  }

  gone() {
    const object = this.object;
    if (!object) return;
    const is = object.keys.get(this.frame) === null;
    this.send({ op: "key", id: object.id, frame: this.frame, gone: !is });
  }

  remove() {
    if (!this.object) return;
    this.send({ op: "remove-object", id: this.selected });
    this.select(null);
  }

  rename(name) {
    const object = this.object;
    if (!object || object.name === name) return;
    this.lastName = name;
    const edits = [{ op: "describe", id: object.id, name, ignored: object.ignored }];
    this.send(edits[0]);
    if (name && !this.state.classes.includes(name)) {
      this.send({ op: "classes", names: [...this.state.names().filter((one) => one !== name), name] });
    }
  }

  ignore() {
    const object = this.object;
    if (!object) return;
    this.send({ op: "describe", id: object.id, name: object.name, ignored: !object.ignored });
  }

  region(box) {
    const id = Math.max(0, ...this.state.regions.map((region) => region.id)) + 1;
    this.send({ op: "region", region: { id, box, first: 0, last: this.last } });
  }

  removeRegions() {
    const here = this.state.regions.filter(
      (region) => region.first <= this.frame && this.frame <= region.last,
    );
    if (!here.length) return;
    this.send({ op: "batch", edits: here.map(({ id }) => ({ op: "remove-region", id })) });
  }

  finish() {
    const finished = !this.state.isFinished(this.frame);
    this.send({ op: "finished", frames: [[this.frame, this.frame]], finished });
  }

  finishTo() {
    const before = this.state.finished.map(([, last]) => last).filter((last) => last < this.frame);
    const first = Math.max(-1, ...before) + 1;
    this.send({ op: "finished", frames: [[first, this.frame]] });
  }

  set(settings) {
    this.send({ op: "settings", settings: { ...this.state.settings, ...settings } });
  }

  // What is next

  todo() {
    return this.state.todo(this.list, this.frame);
  }

  goTo(task) {
    if (!task) return;
    this.pause();
    if (task.object) this.selected = task.object.id;
    this.go(task.frame);
  }

  goBox(way) {
    const frames = (this.object?.frames ?? []).filter((frame) => (frame - this.frame) * way > 0);
    if (frames.length) this.go(way > 0 ? frames[0] : frames.at(-1));
  }

  goListed(way) {
    const frames = this.list.filter((frame) => (frame - this.frame) * way > 0);
    if (frames.length) this.go(way > 0 ? frames[0] : frames.at(-1));
  }

  nextObject(way) {
    const here = this.state.on(this.frame);
    if (!here.length) return;
    const place = here.findIndex((object) => object.id === this.selected);
    const next = place < 0 ? (way > 0 ? 0 : -1) : place + way;
    this.select(here.at(next % here.length).id);
  }

  // The server

  send(edit) {
    return this.#saving(() => this.api.edit(() => this.state.revision, edit));
  }

  step(back) {
    return this.#saving(() => this.api.step(() => this.state.revision, back));
  }

  async propagate(ids, again = false) {
    try {
      const { gaps } = await this.api.propagate(ids, again);
      if (!gaps) this.hooks.say("There is no gap to fill: an object needs boxes on two frames.");
    } catch (error) {
      this.hooks.say(error.message);
    }
  }

  async #saving(call) {
    const { state } = this;
    this.hooks.saved("busy", "Saving");
    this.unsaved = (this.unsaved ?? 0) + 1;
    let failed = "";
    try {
      state.take(await call());
    } catch (error) {
      failed = error.message;
      this.hooks.say(error.message);
      await this.#reload(state);
    }
    this.unsaved -= 1;
    if (failed) this.hooks.saved("failed", "The last change is not saved");
    else if (!this.unsaved) this.hooks.saved("done", "Saved");
    this.hooks.changed();
  }

  async #reload(state) {
    try {
      state.take(await this.api.load(state.revision));
    } catch {
      // the message of the edit says what is wrong
    }
  }

  async #told(status) {
    const { state } = this;
    if (this.isLost) this.hooks.saved("done", "Saved");
    this.isLost = false;
    const before = this.status;
    this.status = status;
    this.ready = status.ready;
    this.frames.setReady(status.ready);
    const error = status.fill.error || status.frames_error;
    if (error && error !== (before.fill.error || before.frames_error)) this.hooks.say(error);
    if (state && status.revision > state.revision) {
      await this.#reload(state);
    }
    if (this.state === state) this.hooks.changed();
  }

  #lost() {
    this.isLost = true;
    this.hooks.saved("failed", "No connection to the server");
  }
}
