import { element, write } from "./elements.js";

const MOST_CHILDREN = 200;
const MOST_CHARACTERS = 2_000;
const OPEN_LEVELS = 3;

/** Shows a JSON value as a tree that is changed in place: what a person has opened stays open. */
export class StateTree {
  constructor(place) {
    this.place = place;
    this.root = null;
  }

  /** Show a value. */
  update(value) {
    this.root = replaced(this.root, "state", value, 0);
    if (this.place.firstChild !== this.root.element) this.place.replaceChildren(this.root.element);
  }
}

function isBranch(value) {
  return value !== null && typeof value === "object";
}

/** Return the node for a value: the same one where its kind has not changed. */
function replaced(node, key, value, level) {
  const fits = node !== null && node.branch === isBranch(value);
  const next = fits ? node : isBranch(value) ? branch(key, level) : leaf(key);
  next.show(value, node === null);
  return next;
}

function leaf(key) {
  const value = element("span", { className: "value" });
  const made = element("div", { className: "leaf", children: [element("span", { className: "key", text: key }), ": ", value] });
  function show(next, isNew) {
    const text = JSON.stringify(next)?.slice(0, MOST_CHARACTERS) ?? "undefined";
    if (!isNew && value.textContent !== text) flash(made);
    write(value, text);
    value.dataset.kind = next === null ? "null" : typeof next;
  }
  return { element: made, branch: false, show };
}

function branch(key, level) {
  const size = element("span", { className: "size" });
  const inside = element("div", { className: "inside" });
  const summary = element("summary", { children: [element("span", { className: "key", text: key }), " ", size] });
  const made = element("details", { open: level < OPEN_LEVELS, children: [summary, inside] });
  let nodes = new Map();
  function show(value) {
    const entries = Object.entries(value);
    write(size, Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`);
    const next = new Map();
    for (const [name, child] of entries.slice(0, MOST_CHILDREN)) {
      next.set(name, replaced(nodes.get(name) ?? null, name, child, level + 1));
    }
    const wanted = [...next.values()].map((node) => node.element);
    if (wanted.some((each, place) => inside.children[place] !== each) || wanted.length !== inside.children.length) {
      inside.replaceChildren(...wanted);
    }
    nodes = next;
  }
  return { element: made, branch: true, show };
}

function flash(place) {
  place.classList.remove("changed");
  requestAnimationFrame(() => place.classList.add("changed"));
}
