// Requests to the server. Edits are sent one after the other, each with the revision last seen.

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

const client = crypto.randomUUID();

async function request(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused(0, "The server does not answer: is `vidseg annotate` still running?");
  }
  if (answer.status === 403) {
    throw new Refused(403, "This session has ended: open the address that was printed last.");
  }
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, content.error ?? `error ${answer.status}`);
  return content;
}

const post = (path, body) =>
  request(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client, ...body }),
  });

export const session = () => request("/api/session");

export class VideoApi {
  constructor(number) {
    this.path = `/api/videos/${number}`;
    this.last = Promise.resolve();
  }

  load(since = -1) {
    return request(`${this.path}?since=${since}`);
  }

  // `revision` is called when the edits before are answered.
  edit(revision, edit) {
    return this.#queue(() => post(`${this.path}/edit`, { revision: revision(), edit }));
  }

  step(revision, back) {
    return this.#queue(() => post(`${this.path}/step`, { revision: revision(), back }));
  }

  propagate(ids, again = false) {
    return post(`${this.path}/propagate`, { ids, again });
  }

  stop() {
    return post(`${this.path}/stop`, {});
  }

  export(choice) {
    return post(`${this.path}/export`, choice);
  }

  frame(key, index) {
    return `${this.path}/frames/${key}/${index}`;
  }

  mask(index, revision) {
    return `${this.path}/mask/${index}?shape=grabcut&revision=${revision}`;
  }

  listen(told, lost) {
    const source = new EventSource(`${this.path}/events`);
    source.onmessage = (event) => told(JSON.parse(event.data));
    source.onerror = lost;
    return source;
  }

  #queue(call) {
    const next = this.last.then(call);
    this.last = next.catch(() => {});
    return next;
  }
}
