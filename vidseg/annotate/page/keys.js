// Every key, what it does, and the overlay that lists them.

const shown = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Delete: "Del", Escape: "Esc" };

// [group, keys, text, name of the action]; keys: "Shift+F", several separated by spaces
export const KEYS = [
  ["Frames", "Space", "Play, pause", "play"],
  ["Frames", "ArrowRight ArrowLeft", "One frame on, back", "on back"],
  ["Frames", "Shift+ArrowRight Shift+ArrowLeft", "Ten frames on, back", "on10 back10"],
  ["Frames", "PageDown PageUp", "To the next, previous key frame", "onKey backKey"],
  ["Frames", "Home End", "First, last frame", "first last"],
  ["Frames", "G", "Go to a frame by its number", "number"],
  ["Frames", ". ,", "Next, previous box of yours of the object", "nextBox previousBox"],
  ["Frames", "L Shift+L", "Next, previous frame of the list", "nextListed previousListed"],
  ["Frames", "V Shift+V", "Next, previous video", "nextVideo previousVideo"],
  ["Work", "N", "What is to be done next", "next"],
  ["Work", "U", "The most doubtful frame", "doubtful"],
  ["Work", "F", "This frame is finished, or not", "finish"],
  ["Work", "Shift+F", "Finished, from the last finished frame to here", "finishTo"],
  ["Work", "P Shift+P", "Propagate the object, all objects", "propagate propagateAll"],
  ["Work", "Ctrl+Z", "Undo", "undo"],
  ["Work", "Ctrl+Shift+Z Ctrl+Y", "Redo", "redo redo"],
  ["Work", "Ctrl+E", "Export", "export"],
  ["Work", "Escape", "Cancel, stop, select nothing", "escape"],
  ["Boxes", "B", "Draw a new object, also over others", "draw"],
  ["Boxes", "Shift+B", "A new object in the middle", "drawMiddle"],
  ["Boxes", "Enter", "Take the propagated box as yours; draw one in the middle", "confirm"],
  ["Boxes", "Alt+ArrowLeft Alt+ArrowRight Alt+ArrowUp Alt+ArrowDown", "Move the box (with Shift by 10)", "left right up down"],
  ["Boxes", "Ctrl+ArrowLeft Ctrl+ArrowRight Ctrl+ArrowUp Ctrl+ArrowDown", "Resize the box (with Shift by 10)", "narrower wider lower higher"],
  ["Boxes", "Delete", "Remove your box from this frame", "unkey"],
  ["Boxes", "R", "Draw a region that counts as nothing", "region"],
  ["Boxes", "Shift+R", "Remove the regions of this frame", "unregion"],
  ["Objects", "Tab Shift+Tab", "Next, previous object of this frame", "nextObject previousObject"],
  ["Objects", "E", "Name the object", "name"],
  ["Objects", "1 2 3 4 5 6 7 8 9", "Give it the first, second ... name", "class1 class2 class3 class4 class5 class6 class7 class8 class9"],
  ["Objects", "O", "It is gone from this frame on", "gone"],
  ["Objects", "I", "Its pixels count as nothing", "ignore"],
  ["Objects", "Shift+Delete", "Delete it from all frames", "remove"],
  ["View", "+ -", "Zoom in, out (or the wheel)", "zoomIn zoomOut"],
  ["View", "0", "Fit the picture", "fit"],
  ["View", "A D W S", "Move the picture (or drag with Alt)", "panLeft panRight panUp panDown"],
  ["View", "M", "Preview of masks: off, box, ellipse, grabCut", "preview"],
  ["View", "?", "This list", "help"],
];

const STEADY = /^(Alt|Ctrl)\+/; // with Shift as well: ten times as far

export function listen(actions) {
  const bound = new Map();
  for (const [, keys, , names] of KEYS) {
    const words = names.split(" ");
    keys.split(" ").forEach((key, place) => bound.set(key, words[place]));
  }
  window.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.isComposing) return;
    if (event.target.matches("input, select, textarea") && !leaves(event)) return;
    if (event.target.matches("button") && ["Enter", " "].includes(event.key)) return;
    if (event.key === "Tab" && !event.target.matches("body, canvas")) return;
    const key = nameOf(event);
    const far = event.shiftKey && STEADY.test(key);
    const name = bound.get(key) ?? (far ? bound.get(key.replace("Shift+", "")) : undefined);
    if (!name) return;
    event.preventDefault();
    actions[name](far ? 10 : 1);
  });
}

// In a field the keys are the field's; Escape and Enter leave it.
function leaves(event) {
  if (event.key === "Escape" || (event.key === "Enter" && event.target.matches("input"))) {
    event.target.blur();
  }
  return false;
}

function nameOf(event) {
  let key = event.key === " " ? "Space" : event.key === "Backspace" ? "Delete" : event.key;
  if (key === "=") key = "+";
  const letter = key.length === 1 && key.toUpperCase() !== key.toLowerCase();
  if (letter) key = key.toUpperCase();
  const shift = event.shiftKey && (letter || key.length > 1);
  const control = event.ctrlKey || event.metaKey;
  return `${control ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift ? "Shift+" : ""}${key}`;
}

export function fillHelp(place) {
  const groups = new Map();
  for (const [group, keys, text] of KEYS) {
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push([keys, text]);
  }
  for (const [group, rows] of groups) {
    const section = document.createElement("section");
    const title = document.createElement("h3");
    title.textContent = group;
    section.append(title);
    for (const [keys, text] of rows) {
      const row = document.createElement("div");
      const said = document.createElement("span");
      said.textContent = text;
      row.append(said, caps(keys.split(" ")));
      section.append(row);
    }
    place.append(section);
  }
}

function caps(keys) {
  const held = document.createElement("span");
  const few = keys.length > 4 ? [`${keys[0]} … ${keys.at(-1)}`] : keys.map(labelOf);
  const arrows = keys.length === 4 && keys.every((key) => /Arrow/.test(key));
  for (const label of arrows ? [`${keys[0].split("+")[0]} + arrows`] : few) {
    const cap = document.createElement("kbd");
    cap.textContent = label;
    held.append(cap);
  }
  return held;
}

const labelOf = (key) =>
  key.split("+").map((part) => shown[part] ?? part).join(" ").trim() || "+";
