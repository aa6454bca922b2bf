/** Make an element. Text goes in as text, never as markup. */
export function element(name, { text, children = [], on = {}, ...properties } = {}) {
  const made = Object.assign(document.createElement(name), properties);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, listener);
  return made;
}

/** Write text into an element if it is another text: screen readers read out what is written. */
export function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** Return JSON laid out for people, or the text itself if it is none. */
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
