/** Make an element. Text goes in as text, never as markup. */
export function element(name, { text, children = [], on = {}, ...properties } = {}) {
  const made = Object.assign(document.createElement(name), properties);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, listener);
  return made;
}

/** Write text into an element if it is another text. One that grows is added to, so that what is selected stays so. */
export function write(place, text) {
  const old = place.textContent;
  if (old === text) return;
  if (old !== "" && text.startsWith(old)) place.firstChild.appendData(text.slice(old.length));
  else place.textContent = text;
}

/** Return JSON laid out for people, or the text itself if it is none. */
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Return the beginning of a text that is longer than a browser lays out quickly, and how much is missing. */
export function excerpt(text, most) {
  if (text.length <= most) return text;
  return `${text.slice(0, most)}\n… ${(text.length - most).toLocaleString("en")} more characters`;
}
