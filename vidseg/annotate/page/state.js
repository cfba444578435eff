// What is annotated, as the server last said it.

const COLOURS = [
  "#4c9fff", "#ff7a59", "#b58cff", "#37d0c5", "#ff6fb1",
  "#a4d65e", "#f2c94c", "#6f8cff", "#ff9f43", "#5fd38d",
];

export const colourOf = (object) => (object.ignored ? "#8f98a8" : COLOURS[object.id % COLOURS.length]);

export const titleOf = (object) => `${object.name || "object"} ${object.id}`;

function objectOf(record) {
  const keys = new Map(Object.entries(record.keys).map(([frame, box]) => [Number(frame), box]));
  return { ...record, keys, frames: [...keys.keys()].sort((a, b) => a - b), worst: null };
}

// The box of a frame: {box, human, doubt}, or null.
export function boxAt(object, frame) {
  if (object.keys.has(frame)) {
    const box = object.keys.get(frame);
    return box && { box, human: true, doubt: 0 };
  }
  for (const span of object.fills) {
    const place = frame - span.first;
    if (place >= 0 && place < span.boxes.length) {
      return { box: span.boxes[place], human: false, doubt: span.doubt[place] };
    }
  }
  return null;
}

export class State {
  constructor(video) {
    this.video = video;
    this.revision = -1;
    this.objects = new Map();
    this.regions = [];
    this.finished = [];
    this.classes = [];
    this.settings = {};
    this.canUndo = this.canRedo = false;
  }

  // Take an answer of the server; an older one than what is known is passed over.
  take(changes) {
    if (changes.revision < this.revision) return;
    if (changes.whole) this.objects.clear();
    for (const id of changes.removed) this.objects.delete(id);
    for (const record of changes.objects) this.objects.set(record.id, objectOf(record));
    for (const object of this.objects.values()) object.worst ??= this.#worst(object);
    if (changes.settings.doubt !== this.settings.doubt) this.#judge(changes.settings.doubt);
    this.revision = changes.revision;
    this.regions = changes.regions;
    this.finished = changes.finished;
    this.classes = changes.classes;
    this.settings = changes.settings;
    this.canUndo = changes.can_undo;
    this.canRedo = changes.can_redo;
  }

  get all() {
    return [...this.objects.values()].sort((a, b) => a.id - b.id);
  }

  on(frame) {
    return this.all.filter((object) => boxAt(object, frame));
  }

  freeId() {
    return Math.max(0, ...this.objects.keys()) + 1;
  }

  isFinished(frame) {
    return this.finished.some(([first, last]) => first <= frame && frame <= last);
  }

  finishedCount() {
    return this.finished.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  }

  names() {
    const used = this.all.map((object) => object.name).filter(Boolean);
    return [...new Set([...this.classes, ...used])];
  }

  // The next frame of an object where a box is asked for, or null: one every `every` frames.
  asked(object) {
    const every = this.settings.every;
    const end = this.video.length - 1;
    const { frames } = object;
    for (let place = 0; place < frames.length; place += 1) {
      if (!object.keys.get(frames[place])) continue;
      const next = frames[place + 1];
      if (next === undefined) {
        return frames[place] < end ? Math.min(frames[place] + every, end) : null;
      }
      if (next - frames[place] > every) return frames[place] + every;
    }
    return null;
  }

  // What a human should do next: {object, frame, kind}, or null.
  todo(list, frame) {
    let best = null;
    for (const object of this.all) {
      const at = this.asked(object);
      if (at !== null && (best === null || at < best.frame)) best = { kind: "key", object, frame: at };
    }
    return best ?? this.doubtful() ?? this.unfinished(list, frame);
  }

  doubtful() {
    let best = null;
    for (const object of this.objects.values()) {
      if (object.worst.count && (!best || object.worst.doubt > best.doubt)) {
        best = { kind: "doubt", object, frame: object.worst.frame, doubt: object.worst.doubt };
      }
    }
    return best;
  }

  unfinished(list, frame) {
    const open = list.filter((one) => !this.isFinished(one));
    const next = open.find((one) => one > frame) ?? open[0];
    return next === undefined ? null : { kind: "list", object: null, frame: next };
  }

  counts() {
    const all = [...this.objects.values()];
    return {
      asked: all.filter((object) => this.asked(object) !== null).length,
      doubtful: all.reduce((sum, object) => sum + object.worst.count, 0),
    };
  }

  #judge(doubt) {
    this.settings = { ...this.settings, doubt };
    for (const object of this.objects.values()) object.worst = this.#worst(object);
  }

  #worst(object) {
    const limit = this.settings.doubt ?? 0.5;
    const found = { frame: -1, doubt: -1, count: 0 };
    const last = object.frames.at(-1) ?? -1;
    for (const span of object.fills) {
      span.doubt.forEach((doubt, place) => {
        const frame = span.first + place;
        if (doubt === null || doubt <= limit || frame > last) return;
        found.count += 1;
        if (doubt > found.doubt) Object.assign(found, { frame, doubt });
      });
    }
    return found;
  }
}
