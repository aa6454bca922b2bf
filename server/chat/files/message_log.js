import { element, pretty, write } from "./elements.js";

const SPEAKERS = { user: "You", assistant: "Agent", reasoning: "Reasoning", activity: "Activity", error: "Error", system: "System", developer: "Developer" };

const NEAR_END = 200;

/** Shows the messages of a conversation, each in an element of its own that grows with it. */
export class MessageLog {
  constructor(place) {
    this.place = place;
    this.shown = new Map();
  }

  /** Show what a conversation holds now. */
  update(conversation) {
    const follows = this.place.scrollHeight - this.place.scrollTop - this.place.clientHeight < NEAR_END;
    const messages = conversation.messages.filter(({ role }) => Object.hasOwn(SPEAKERS, role));
    const kept = new Set(messages.map(({ id }) => id));
    for (const [id, item] of this.shown) if (!kept.has(id)) this.remove(id, item);
    messages.forEach((message, place) => this.updateMessage(conversation, message, place));
    if (follows) this.place.scrollTop = this.place.scrollHeight;
  }

  remove(id, item) {
    item.root.remove();
    this.shown.delete(id);
  }

  updateMessage(conversation, message, place) {
    if (!this.shown.has(message.id)) this.shown.set(message.id, this.add(message));
    const item = this.shown.get(message.id);
    if (this.place.children[place] !== item.root) this.place.insertBefore(item.root, this.place.children[place] ?? null);
    write(item.text, textOf(message.content));
    item.text.hidden = item.text.textContent === "";
    for (const call of message.toolCalls ?? []) this.updateCall(item, call, conversation.result(call.id));
  }

  add({ role }) {
    const text = element("p", { className: "text" });
    const root = element("article", { className: `message ${role}`, children: [element("h3", { text: SPEAKERS[role] }), text] });
    root.dataset.role = role;
    return { root, text, calls: new Map() };
  }

  updateCall({ root, calls }, { id, function: { name, arguments: given } }, result) {
    if (!calls.has(id)) {
      const status = element("span", { className: "call-status" });
      const [args, answer] = [element("pre"), element("pre")];
      const summary = element("summary", { children: [element("code", { text: name }), " ", status] });
      const parts = [summary, element("h4", { text: "Arguments" }), args, element("h4", { text: "Result" }), answer];
      root.append(element("details", { className: "call", open: true, children: parts }));
      calls.set(id, { status, args, answer });
    }
    const { status, args, answer } = calls.get(id);
    write(args, pretty(given));
    write(answer, result === undefined ? "" : pretty(textOf(result)));
    write(status, result === undefined ? "called" : "answered");
  }
}

function textOf(content) {
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map((part) => part.text ?? `[${part.type}]`).join("\n");
  return content == null ? "" : JSON.stringify(content, null, 2);
}
