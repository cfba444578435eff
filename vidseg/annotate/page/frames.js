// Pictures of frames: fetched ahead, decoded beside the page's thread, kept up to a limit.

const KEPT_BYTES = 384 * 2 ** 20;
const AT_ONCE = 4;

export class Frames {
  constructor(api, video, came) {
    this.api = api;
    this.video = video;
    this.came = came;
    this.ready = 0;
    this.kept = new Map();
    this.pending = new Set();
    this.wanted = [];
    const most = Math.floor(KEPT_BYTES / (4 * video.width * video.height));
    this.most = Math.max(12, Math.min(400, most));
  }

  get(index) {
    const found = this.kept.get(index);
    if (found) {
      this.kept.delete(index);
      this.kept.set(index, found);
    }
    return found ?? null;
  }

  // Fetch a frame and those that are likely next.
  want(index, playing) {
    const ahead = Math.min(playing ? 24 : 6, this.most - 6);
    const wanted = [index];
    for (let step = 1; step <= ahead; step += 1) wanted.push(index + step);
    if (!playing) wanted.push(index - 1, index - 2, index - 3);
    this.wanted = wanted.filter((one) => one >= 0 && one < this.video.length);
    this.#fetch();
  }

  setReady(count) {
    this.ready = count;
    this.#fetch();
  }

  close() {
    this.wanted = [];
    for (const picture of this.kept.values()) picture.close();
    this.kept.clear();
  }

  #fetch() {
    for (const index of this.wanted) {
      if (this.pending.size >= AT_ONCE) return;
      if (index < this.ready && !this.kept.has(index) && !this.pending.has(index)) this.#load(index);
    }
  }

  async #load(index) {
    this.pending.add(index);
    try {
      const answer = await fetch(this.api.frame(this.video.key, index));
      if (answer.ok) {
        this.kept.set(index, await createImageBitmap(await answer.blob()));
        this.#forget();
        this.came(index);
      } else if (answer.status === 403) {
        this.wanted = [];
      }
    } catch {
      // the server is gone: the stream of events says so
    }
    this.pending.delete(index);
    this.#fetch();
  }

  #forget() {
    for (const index of this.kept.keys()) {
      if (this.kept.size <= this.most) return;
      if (this.wanted.includes(index)) continue;
      this.kept.get(index).close();
      this.kept.delete(index);
    }
  }
}
