import { element } from "./elements.js";

const MOST_EVENTS = 500;

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

  /** Show the events that have come. */
  update() {
    this.place.append(...this.waiting.splice(0).map(shown));
    while (this.place.childElementCount > MOST_EVENTS) this.place.firstElementChild.remove();
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
  return element("li", { children: [element("details", { children: [summary, element("pre", { text: JSON.stringify(rest, null, 2) })] })] });
}
