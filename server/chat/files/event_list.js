import { element, excerpt } from "./elements.js";

const MOST_EVENTS = 500;
const MOST_CHARACTERS = 20_000;
const NEAR_END = 40;

/** Shows events as they come, with the time since their run began; the oldest make room for new ones. */
export class EventList {
  constructor(place) {
    this.place = place;
    this.waiting = [];
    this.began = null;
  }

  /** Take an event; it is shown with the next update. */
  add(event) {
    const now = performance.now();
    if (event.type === "RUN_STARTED" || this.began === null) this.began = now;
    this.waiting.push({ event, after: now - this.began, at: new Date() });
    if (this.waiting.length > MOST_EVENTS) this.waiting.shift();
  }

  /** Show the events that have come. A person who looks at the last one goes on seeing the last one. */
  update() {
    if (this.waiting.length === 0) return;
    const panel = this.place.parentElement;
    const follows = panel.scrollTop > 0 && panel.scrollHeight - panel.scrollTop - panel.clientHeight < NEAR_END;
    this.place.append(...this.waiting.splice(0).map(shown));
    while (this.place.childElementCount > MOST_EVENTS) this.removeOldest(panel);
    if (follows) panel.scrollTop = panel.scrollHeight;
  }

  removeOldest(panel) {
    const oldest = this.place.firstElementChild;
    if (oldest.contains(document.activeElement)) panel.focus();
    oldest.remove();
  }

  /** Remove all events. */
  clear() {
    this.waiting = [];
    this.place.replaceChildren();
  }
}

function shown({ event, after, at }) {
  const time = element("time", { dateTime: at.toISOString(), title: at.toLocaleTimeString(), text: `+${(after / 1000).toFixed(3)} s` });
  const { type, ...rest } = event;
  const summary = element("summary", { children: [time, " ", element("code", { text: type })] });
  const details = element("details", { children: [summary] });
  const draw = () => details.append(element("pre", { text: excerpt(JSON.stringify(rest, null, 2), MOST_CHARACTERS) }));
  details.addEventListener("toggle", draw, { once: true });
  return element("li", { children: [details] });
}
