// The parts of the page beside the picture: what they show.

import { PREVIEWS } from "./app.js";
import { boxAt, colourOf } from "./state.js";

const $ = (id) => document.getElementById(id);

const plural = (count, noun) => `${count} ${count === 1 ? noun : noun === "box" ? "boxes" : `${noun}s`}`;

export function fillList(list, values) {
  const held = JSON.stringify(values);
  if (list.dataset.held === held) return;
  list.dataset.held = held;
  list.replaceChildren(
    ...values.map((value) => {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = value;
      return option;
    }),
  );
}

function put(field, value) {
  if (document.activeElement !== field) field.value = value;
}

export function showAll(app) {
  const { state, frame } = app;
  const { video } = state;
  $("facts").textContent = `${video.width} × ${video.height}, ${video.length} frames`;
  $("undo").disabled = !state.canUndo;
  $("redo").disabled = !state.canRedo;
  $("play").setAttribute("aria-pressed", String(app.playing));
  put($("number"), frame);
  $("number").max = app.last;
  const rate = video.fps;
  const time = rate ? `, ${clock(frame / rate)}` : "";
  $("of").textContent = `of 0 to ${app.last}${time}`;
  showProgress(app);
  showFrame(app);
  if (app.playing) return; // the rest is of no use while frames rush by, and costs time
  showTodo(app);
  showObject(app);
  showSettings(app);
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}

function showTodo(app) {
  const task = app.todo();
  const { asked, doubtful } = app.state.counts();
  const button = $("next");
  button.classList.toggle("idle", !task);
  button.textContent = wordsOf(task, app);
  const rest = [];
  if (asked) rest.push(`${plural(asked, "object")} to continue`);
  if (doubtful) rest.push(`${plural(doubtful, "box")} doubtful`);
  rest.push(`${app.state.finishedCount()} of ${app.state.video.length} frames finished`);
  $("todo-rest").textContent = rest.join(" · ");
}

function wordsOf(task, app) {
  if (!task) {
    if (!app.state.objects.size) return "Draw a box around the first object.";
    const all = app.state.finishedCount() === app.state.video.length;
    if (all) return "All frames are finished: export them, or train on them.";
    return "Every box that is asked for is drawn. Mark the frames as finished, or export.";
  }
  if (task.kind === "list") return `Look at frame ${task.frame} of the list`;
  const name = `${task.object.name || "object"} ${task.object.id}`;
  if (task.kind === "doubt") return `Mend ${name} on frame ${task.frame} (doubt ${task.doubt.toFixed(2)})`;
  const suggested = boxAt(task.object, task.frame);
  return `${suggested ? "Confirm" : "Draw"} ${name} on frame ${task.frame}`;
}

function showObject(app) {
  const object = app.object;
  $("object-none").hidden = Boolean(object);
  $("object-form").hidden = !object;
  if (!object) return;
  const found = boxAt(object, app.frame);
  const isGone = object.keys.get(app.frame) === null;
  $("swatch").style.background = colourOf(object);
  $("object-id").textContent = `#${object.id}`;
  put($("name"), object.name);
  fillList($("classes"), app.state.names());
  $("object-state").textContent = stateOf(found, isGone, app.isTracked(object), app.frame > object.frames.at(-1));
  $("confirm").disabled = !found || found.human;
  $("unkey").disabled = !object.keys.has(app.frame);
  $("gone").setAttribute("aria-pressed", String(isGone));
  $("ignore").setAttribute("aria-pressed", String(object.ignored));
}

function stateOf(found, isGone, isTracked, isBeyond) {
  if (isGone) return "Gone from this frame on";
  if (!found && isTracked) return "Being tracked: wait for its box, or drag one";
  if (!found) return "No box here: drag one on the picture";
  if (found.human) return "Your box";
  if (isBeyond) return "Tracked on from your last box";
  return found.doubt === null ? "Propagated" : `Propagated, doubt ${found.doubt.toFixed(2)}`;
}

function showFrame(app) {
  $("finish").setAttribute("aria-pressed", String(app.state.isFinished(app.frame)));
  for (const button of $("preview").children) {
    button.setAttribute("aria-pressed", String(button.value === app.preview));
  }
}

export function makePreview(chosen) {
  const words = { off: "No mask", box: "Box", ellipse: "Ellipse", grabcut: "grabCut" };
  for (const value of PREVIEWS) {
    const button = document.createElement("button");
    button.value = value;
    button.textContent = words[value];
    button.title = "Preview of the masks that training sees (M)";
    button.addEventListener("click", () => chosen(value));
    $("preview").append(button);
  }
}

function showSettings(app) {
  const { tracker, method, every, ahead } = app.state.settings;
  put($("tracker"), tracker);
  $("tracker").disabled = method === "linear";
  put($("method"), method);
  put($("every"), every);
  $("ahead").checked = ahead;
}

function showProgress(app) {
  const { fill, ready, length, exporting } = app.status;
  const filling = fill.total > 0;
  $("stop").hidden = !filling;
  const decoding = ready < length && !app.status.frames_error;
  $("progress").hidden = true;
  if (filling) showBar(`Propagating ${plural(fill.ids.length, "object")}`, fill.done, fill.total);
  else if (exporting.total) showBar("Writing pictures", exporting.done, exporting.total);
  else if (decoding) showBar("Decoding", ready, length);
}

function showBar(what, done, total) {
  $("progress").hidden = false;
  $("progress-text").textContent = what;
  $("progress-bar").style.width = `${Math.min(100, (100 * done) / Math.max(1, total))}%`;
}
