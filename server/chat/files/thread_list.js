import { element } from "./elements.js";
import { deleteThread, listThreads, LostError } from "./wire.js";

/** Lists the threads; one can be opened or deleted. */
export class ThreadList {
  constructor(place, { open, failed, gone }) {
    this.place = place;
    this.open = open;
    this.failed = failed;
    this.gone = gone;
    this.current = null;
    this.pages = 1;
  }

  /** Read the threads anew and mark the current one. Without a connection the list stays as it is. */
  async refresh(current) {
    this.current = current;
    try {
      this.show(await listThreads(this.pages));
    } catch (error) {
      if (!(error instanceof LostError)) this.failed(error);
    }
  }

  /** Show threads. The keyboard stays where it is, or goes to the neighbour of what has gone. */
  show({ threads, hasOlder }) {
    const place = [...this.place.children].findIndex((item) => item.contains(document.activeElement));
    const focused = place >= 0 && document.activeElement;
    this.draw(threads, hasOlder);
    if (!focused) return;
    const same = [...this.place.querySelectorAll("button")].find((each) => each.dataset.thread === focused.dataset.thread && each.className === focused.className);
    const neighbour = this.place.children[Math.min(place, this.place.children.length - 1)].querySelector(".thread");
    (same ?? neighbour ?? document.getElementById("new")).focus();
  }

  draw(threads, hasOlder) {
    this.place.replaceChildren(...threads.map((thread) => this.item(thread)));
    if (threads.length === 0) this.place.append(element("li", { className: "empty", text: "None yet." }));
    if (hasOlder) this.place.append(element("li", { children: [this.older()] }));
  }

  older() {
    const more = async () => {
      const first = this.place.children.length - 1;
      this.pages += 1;
      await this.refresh(this.current);
      this.place.children[first]?.querySelector("button").focus();
    };
    return element("button", { type: "button", text: "Older threads", on: { click: more } });
  }

  item(thread) {
    const name = thread.name ?? "Without a name";
    const when = timeOrDay(new Date(thread.updatedAt));
    const open = element("button", {
      type: "button",
      className: "thread",
      children: [element("span", { text: name, dir: "auto" }), element("small", { text: `${thread.agentId}, ${when}` })],
      on: { click: () => this.open(thread.agentId, thread.id) },
    });
    const remove = element("button", { type: "button", className: "remove", text: "×", ariaLabel: `Delete ${name}` });
    for (const each of [open, remove]) each.dataset.thread = thread.id;
    if (thread.id === this.current) open.setAttribute("aria-current", "true");
    remove.addEventListener("click", () => this.remove(thread, name));
    return element("li", { children: [open, remove] });
  }

  async remove(thread, name) {
    if (!confirm(`Delete the thread "${name}" with everything in it?`)) return;
    try {
      await deleteThread(thread.id);
      await this.gone(thread.id);
    } catch (error) {
      this.failed(error);
    }
  }
}

/** Return the time of a moment of today, and the day of any other. */
function timeOrDay(moment) {
  const isToday = moment.toDateString() === new Date().toDateString();
  return isToday ? moment.toLocaleTimeString([], { timeStyle: "short" }) : moment.toLocaleDateString();
}
