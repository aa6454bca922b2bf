// JSON Patch (RFC 6902), the form in which AG-UI reports changes of state.

/** Return `value` with the operations applied, and what they leave alone shared with it. Throws if one does not fit. */
export function patched(value, operations) {
  const holder = { value };
  for (const operation of operations) apply(holder, operation);
  return holder.value;
}

function apply(holder, { op, path, from, value }) {
  const place = find(holder, path);
  if (op === "add") add(place, value);
  else if (op === "replace") put(place, value);
  else if (op === "remove") remove(place);
  else if (op === "copy") add(place, structuredClone(read(find(holder, from))));
  else if (op === "move") {
    const source = find(holder, from);
    const moved = read(source);
    remove(source);
    add(find(holder, path), moved);
  } else if (op === "test") {
    if (JSON.stringify(read(place)) !== JSON.stringify(value)) throw new Error(`The state has another value at ${path}`);
  } else throw new Error(`There is no operation ${op}`);
}

/** Return where a path leads, in copies of all that is on its way. */
function find(holder, path) {
  const keys = path.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  let place = { parent: holder, key: "value" };
  for (const key of keys) {
    const inside = read(place);
    if (inside === null || typeof inside !== "object") throw new Error(`The state has nothing at ${path}`);
    const parent = Array.isArray(inside) ? [...inside] : { ...inside };
    put(place, parent);
    place = { parent, key };
  }
  return place;
}

function read({ parent, key }) {
  return Object.hasOwn(parent, key) ? parent[key] : undefined;
}

/** Set a property, also one that is called `__proto__`. */
function put({ parent, key }, value) {
  Object.defineProperty(parent, key, { value, writable: true, enumerable: true, configurable: true });
}

function add({ parent, key }, value) {
  if (Array.isArray(parent)) parent.splice(key === "-" ? parent.length : Number(key), 0, value);
  else put({ parent, key }, value);
}

function remove({ parent, key }) {
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
}
