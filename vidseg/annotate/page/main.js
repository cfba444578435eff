// Starts the page: connects keys, buttons and pointer with the open video.

import { session } from "./api.js";
import { App, PREVIEWS } from "./app.js";
import { View } from "./canvas.js";
import { fillHelp, listen } from "./keys.js";
import { fillList, makePreview, showAll } from "./panel.js";
import { Timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);

let drawing = 0;

const app = new App({ changed, say, saved });
const view = new View($("canvas"), app, {
  select: (id) => app.select(id),
  draw: (box, anew) => app.draw(box, anew),
  change: (id, box) => app.change(id, box),
  region: (box) => app.region(box),
  zoomed: (scale) => ($("zoom").textContent = `${Math.round(scale * 100)} %`),
});
const timeline = new Timeline($("rows"), app, {
  go: (frame) => {
    app.pause();
    app.go(frame);
  },
  select: (id) => app.select(id),
});
let videos = [];

// Draw at the next frame of the screen, however often it is asked for.
function changed() {
  if (!drawing) drawing = requestAnimationFrame(redraw);
}

function redraw() {
  drawing = 0;
  if (!app.state) return;
  if (!view.scale) view.fit();
  showAll(app);
  showMask();
  hint();
  timeline.reveal();
  timeline.draw();
  view.draw();
}

function hint() {
  const text = { new: "Drag a box around a new object", region: "Drag a region that counts as nothing" }[view.mode];
  $("hint").hidden = !text;
  $("hint").textContent = text ?? "";
}

function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

function saved(state, text) {
  $("saved").dataset.state = state;
  $("saved").textContent = text;
}

async function showMask() {
  if (app.preview !== "grabcut" || app.playing) return;
  const wanted = `${app.number} ${app.frame} ${app.state.revision}`;
  if (view.mask?.wanted === wanted) return;
  const { frame } = app;
  view.mask = { wanted, frame, picture: view.mask?.frame === frame ? view.mask.picture : new OffscreenCanvas(1, 1) };
  const answer = await fetch(app.api.mask(frame, app.state.revision));
  if (!answer.ok || view.mask.wanted !== wanted) return;
  view.mask = { wanted, frame, picture: await createImageBitmap(await answer.blob()) };
  view.draw();
}

async function openVideo(number) {
  if (number < 0 || number >= videos.length) return;
  say("");
  saved("busy", "Opening");
  try {
    await app.open(number, videos[number].list);
    saved("done", "Saved");
    view.scale = 0;
    view.mask = null;
    document.title = `${videos[number].name}: vidseg annotate`;
  } catch (error) {
    saved("failed", "Not open");
    say(error.message);
  }
  $("videos").value = String(number);
  changed();
}

function showPreview(value) {
  app.preview = value;
  changed();
}

function escape() {
  say("");
  if (view.cancel()) return changed();
  if (app.playing) return app.pause();
  if (app.status.fill.total) return app.api.stop();
  return app.select(null);
}

function focus(id) {
  if (!$(id).offsetParent) return;
  $(id).focus();
  $(id).select();
}

function begin(mode) {
  view.begin(mode);
  changed();
}

const key = () => app.state.settings.every;
const actions = {
  play: () => app.play(),
  on: () => app.go(app.frame + 1),
  back: () => app.go(app.frame - 1),
  on10: () => app.go(app.frame + 10),
  back10: () => app.go(app.frame - 10),
  onKey: () => app.go((Math.floor(app.frame / key()) + 1) * key()),
  backKey: () => app.go((Math.ceil(app.frame / key()) - 1) * key()),
  first: () => app.go(0),
  last: () => app.go(app.last),
  number: () => focus("number"),
  nextBox: () => app.goBox(1),
  previousBox: () => app.goBox(-1),
  nextListed: () => app.goListed(1),
  previousListed: () => app.goListed(-1),
  nextVideo: () => openVideo(app.number + 1),
  previousVideo: () => openVideo(app.number - 1),
  next: () => app.goTo(app.todo()),
  doubtful: () => app.goTo(app.state.doubtful()),
  finish: () => app.finish(),
  finishTo: () => app.finishTo(),
  propagate: () => app.object && app.propagate([app.selected]),
  propagateAll: () => app.propagate(null),
  undo: () => app.step(true),
  redo: () => app.step(false),
  export: () => openExport(),
  escape,
  draw: () => begin("new"),
  drawMiddle: () => app.draw(view.middleBox(), true),
  confirm: () => app.confirm(view.middleBox()),
  left: (far) => app.nudge([-far, 0, 0, 0]),
  right: (far) => app.nudge([far, 0, 0, 0]),
  up: (far) => app.nudge([0, -far, 0, 0]),
  down: (far) => app.nudge([0, far, 0, 0]),
  narrower: (far) => app.nudge([0, 0, -far, 0]),
  wider: (far) => app.nudge([0, 0, far, 0]),
  lower: (far) => app.nudge([0, 0, 0, -far]),
  higher: (far) => app.nudge([0, 0, 0, far]),
  unkey: () => app.removeKey(),
  region: () => begin("region"),
  unregion: () => app.removeRegions(),
  nextObject: () => app.nextObject(1),
  previousObject: () => app.nextObject(-1),
  name: () => focus("name"),
  gone: () => app.gone(),
  ignore: () => app.ignore(),
  remove: () => app.remove(),
  zoomIn: () => view.zoom(1.25),
  zoomOut: () => view.zoom(0.8),
  fit: () => view.fit(),
  panLeft: () => view.pan(60, 0),
  panRight: () => view.pan(-60, 0),
  panUp: () => view.pan(0, 60),
  panDown: () => view.pan(0, -60),
  preview: () => showPreview(PREVIEWS[(PREVIEWS.indexOf(app.preview) + 1) % PREVIEWS.length]),
  help: () => $("help").showModal(),
};
for (let place = 0; place < 9; place += 1) {
  actions[`class${place + 1}`] = () => {
    const name = app.state.names()[place];
    if (name !== undefined) app.rename(name);
  };
}

function openExport() {
  $("export-result").textContent = "";
  $("which").value = app.state.finished.length ? "finished" : "all";
  $("export").showModal();
}

async function writeExport() {
  const result = $("export-result");
  delete result.dataset.state;
  result.textContent = "Writing …";
  $("do-export").disabled = true;
  try {
    const choice = { format: $("format").value, frames: $("which").value, images: $("images").value };
    const done = await app.api.export(choice);
    const lost = done.losses.length ? `\nNot kept: ${done.losses.join("; ")}` : "";
    result.textContent = `${done.labelled} labelled frames in ${done.folder}\nReads as ${done.spec}${lost}`;
  } catch (error) {
    result.dataset.state = "failed";
    result.textContent = error.message;
  }
  $("do-export").disabled = false;
}

function connect() {
  const clicks = {
    undo: "undo", redo: "redo", "open-export": "export", "open-help": "help", next: "next",
    confirm: "confirm", gone: "gone", unkey: "unkey", ignore: "ignore", propagate: "propagate",
    remove: "remove", finish: "finish", "finish-to": "finishTo", region: "region", draw: "draw",
    "propagate-all": "propagateAll", first: "first", back: "back", play: "play", on: "on", last: "last",
  };
  for (const [id, name] of Object.entries(clicks)) {
    $(id).addEventListener("click", () => {
      if (app.state) actions[name](1);
      if (!document.querySelector("dialog[open]")) $("canvas").focus();
    });
  }
  const guarded = Object.entries(actions).map(([name, act]) => [
    name,
    (far) => (app.state || /Video|help/.test(name)) && act(far),
  ]);
  listen(Object.fromEntries(guarded));
  $("again").addEventListener("click", () => app.propagate(app.object ? [app.selected] : null, true));
  $("stop").addEventListener("click", () => app.api.stop());
  $("message").addEventListener("click", () => say(""));
  $("videos").addEventListener("change", () => openVideo(Number($("videos").value)));
  $("number").addEventListener("change", () => app.go(Number($("number").value)));
  $("name").addEventListener("change", () => app.rename($("name").value.trim()));
  $("tracker").addEventListener("change", () => app.set({ tracker: $("tracker").value.trim() }));
  $("method").addEventListener("change", () => app.set({ method: $("method").value }));
  $("every").addEventListener("change", () => app.set({ every: Number($("every").value) }));
  $("ahead").addEventListener("change", () => app.set({ ahead: $("ahead").checked }));
  $("do-export").addEventListener("click", writeExport);
  $("close-export").addEventListener("click", () => $("export").close());
}

async function start() {
  makePreview(showPreview);
  fillHelp($("keys"));
  connect();
  try {
    const found = await session();
    videos = found.videos;
    $("videos").replaceChildren(
      ...videos.map((video, number) => new Option(video.name, String(number))),
    );
    fillList($("trackers"), found.trackers);
    fillList($("method"), found.methods);
    fillList($("format"), found.formats);
    await openVideo(found.first);
    if (found.faults.length) say(found.faults.join("\n"));
  } catch (error) {
    saved("failed", "Not open");
    say(error.message);
  }
}

start();
window.vidseg = { app, view };
