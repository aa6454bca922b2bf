import { element, write } from "./elements.js";

const MOST_CHILDREN = 200;
const MOST_CHARACTERS = 2_000;
const OPEN_LEVELS = 3;
const MOST_OPENED = 1_000;

/** Shows a JSON value as a tree that is changed in place: what a person has opened stays open. */
export class StateTree {
  constructor(place) {
    this.place = place;
    this.root = null;
  }

  /** Show a value. */
  update(value) {
    this.root = replaced(this.root, "state", value, { level: 0, room: { left: MOST_OPENED } });
    if (this.place.firstChild !== this.root.element) this.place.replaceChildren(this.root.element);
  }
}

function isBranch(value) {
  return value !== null && typeof value === "object";
}

/** Return the node for a value: the same one where its kind has not changed. */
function replaced(node, key, value, where) {
  const fits = node !== null && node.branch === isBranch(value);
  const next = fits ? node : isBranch(value) ? branch(key, where) : leaf(key);
  next.show(value, node === null);
  return next;
}

function leaf(key) {
  const value = element("span", { className: "value" });
  const made = element("div", { className: "leaf", children: [element("span", { className: "key", text: key }), ": ", value] });
  function show(next, isNew) {
    const text = JSON.stringify(typeof next === "string" ? next.slice(0, MOST_CHARACTERS) : next) ?? "undefined";
    if (!isNew && value.textContent !== text) flash(made);
    write(value, text);
    value.dataset.kind = next === null ? "null" : typeof next;
  }
  return { element: made, branch: false, show };
}

/** Make a node with others inside, which are drawn once it is opened. Small ones near the root are open at first. */
function branch(key, { level, room }) {
  const size = element("span", { className: "size" });
  const inside = element("div", { className: "inside" });
  const summary = element("summary", { children: [element("span", { className: "key", text: key }), " ", size] });
  const more = element("div", { className: "size" });
  const made = element("details", { children: [summary, inside, more] });
  let nodes = null;
  let shown;
  function show(value) {
    if (value === shown) return;
    const isFirst = shown === undefined;
    shown = value;
    const count = Object.keys(value).length;
    write(size, Array.isArray(value) ? `[${count}]` : `{${count}}`);
    if (isFirst) made.open = level === 0 || (level < OPEN_LEVELS && count <= room.left);
    if (made.open || nodes !== null) fill();
  }
  function fill() {
    const entries = Object.entries(shown);
    const next = new Map();
    for (const [name, child] of entries.slice(0, MOST_CHILDREN)) {
      const node = nodes?.get(name) ?? null;
      if (node === null) room.left -= 1;
      next.set(name, replaced(node, name, child, { level: level + 1, room }));
    }
    const wanted = [...next.values()].map((node) => node.element);
    if (wanted.some((each, place) => inside.children[place] !== each) || wanted.length !== inside.children.length) {
      inside.replaceChildren(...wanted);
    }
    write(more, entries.length > MOST_CHILDREN ? `and ${entries.length - MOST_CHILDREN} more` : "");
    nodes = next;
  }
  made.addEventListener("toggle", () => made.open && nodes === null && fill());
  return { element: made, branch: true, show };
}

function flash(place) {
  place.classList.remove("changed");
  requestAnimationFrame(() => place.classList.add("changed"));
}
