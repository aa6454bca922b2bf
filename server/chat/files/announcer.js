import { element } from "./elements.js";

const MOST_CHARACTERS = 1_000;
const MOST_KEPT = 20;
const NAMES = { assistant: "Agent", error: "Error" };
const SENTENCE_END = /^[\s\S]*(?:[.!?:…]["')\]]*\s|[。!?]|\n)/;

/** Has screen readers read out what comes: whole sentences, not each token, and nothing that was there before. */
export class Announcer {
  constructor(place) {
    this.place = place;
    this.heard = new Map();
  }

  /** Forget what was announced: another conversation begins. */
  reset() {
    this.heard.clear();
    this.place.replaceChildren();
  }

  /** Announce what is new in a conversation; with `catchesUp`, its messages are old as far as they are there. */
  update({ messages, runId }, catchesUp) {
    for (const message of messages) {
      if (!Object.hasOwn(NAMES, message.role)) continue;
      const isWhole = runId === null || message !== messages.at(-1);
      this.announceText(message, catchesUp, isWhole);
      for (const call of message.toolCalls ?? []) this.announceCall(call, catchesUp);
    }
  }

  announceText({ id, role, content }, catchesUp, isWhole) {
    const key = `${role} ${id}`;
    if (!this.heard.has(key)) this.heard.set(key, catchesUp ? content?.length : 0);
    const from = this.heard.get(key);
    if (typeof content !== "string" || content.length <= from) return;
    const rest = content.slice(from);
    const text = isWhole ? rest : (SENTENCE_END.exec(rest)?.[0] ?? "");
    this.heard.set(key, from + text.length);
    if (text.trim() !== "") this.say(from === 0 ? `${NAMES[role]}: ${text}` : text);
  }

  announceCall({ id, function: { name } }, catchesUp) {
    if (this.heard.has(id)) return;
    this.heard.set(id, name.length);
    if (!catchesUp) this.say(`The agent calls ${name}.`);
  }

  /** Announce a text. */
  say(text) {
    const spoken = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)} … and more` : text;
    this.place.append(element("p", { text: spoken }));
    while (this.place.childElementCount > MOST_KEPT) this.place.firstElementChild.remove();
  }
}
