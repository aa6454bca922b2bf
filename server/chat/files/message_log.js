import { element, excerpt, pretty, write } from "./elements.js";

const SPEAKERS = { user: "You", assistant: "Agent", reasoning: "Reasoning", activity: "Activity", error: "Error", system: "System", developer: "Developer" };

const NEAR_END = 200;
const MOST_MESSAGES = 500;
const MOST_TEXT = 200_000;
const MOST_JSON = 20_000;
const SHORT_JSON = 300;

/** Shows the messages of a conversation, each in an element of its own that grows with it. */
export class MessageLog {
  constructor(place) {
    this.place = place;
    this.shown = new Map();
  }

  /** Show what a conversation holds now: its newest messages. */
  update(conversation) {
    const follows = this.place.scrollHeight - this.place.scrollTop - this.place.clientHeight < NEAR_END;
    const messages = conversation.messages.filter(({ role }) => Object.hasOwn(SPEAKERS, role)).slice(-MOST_MESSAGES);
    const kept = new Set(messages.map(keyOf));
    for (const [key, item] of this.shown) if (!kept.has(key)) this.remove(key, item);
    const results = conversation.results();
    messages.forEach((message, place) => this.updateMessage(message, results, place));
    if (follows) this.place.scrollTop = this.place.scrollHeight;
  }

  remove(key, item) {
    item.root.remove();
    this.shown.delete(key);
  }

  updateMessage(message, results, place) {
    const key = keyOf(message);
    if (!this.shown.has(key)) this.shown.set(key, this.add(message));
    const item = this.shown.get(key);
    if (this.place.children[place] !== item.root) this.place.insertBefore(item.root, this.place.children[place] ?? null);
    if (item.content !== message.content) {
      item.content = message.content;
      write(item.text, excerpt(textOf(message.content), MOST_TEXT));
      item.text.hidden = item.text.textContent === "";
    }
    for (const call of message.toolCalls ?? []) this.updateCall(item, call, results.get(call.id));
  }

  add({ role }) {
    const text = element("p", { className: "text", dir: "auto", hidden: true });
    const root = element("article", { className: `message ${role}`, children: [element("h3", { text: SPEAKERS[role] }), text] });
    root.dataset.role = role;
    return { root, text, content: "", calls: new Map() };
  }

  updateCall({ root, calls }, { id, function: { name, arguments: given } }, result) {
    if (!calls.has(id)) {
      const status = element("span", { className: "call-status" });
      const [args, answer] = [json("Arguments"), json("Result")];
      const summary = element("summary", { children: [element("code", { text: name }), " ", status] });
      const parts = [summary, element("h4", { text: "Arguments" }), args.place, element("h4", { text: "Result" }), answer.place];
      root.append(element("details", { className: "call", open: true, children: parts }));
      calls.set(id, { status, args, answer });
    }
    const { status, args, answer } = calls.get(id);
    args.show(given);
    answer.show(result === undefined ? "" : textOf(result));
    write(status, result === undefined ? "called" : "answered");
  }
}

/** Make a place for JSON text. One that may be long enough to scroll is a stop for the keyboard. */
function json(label) {
  const place = element("pre");
  let shown = "";
  function show(text) {
    if (text === shown) return;
    shown = text;
    write(place, excerpt(pretty(text), MOST_JSON));
    if (text.length > SHORT_JSON) Object.assign(place, { tabIndex: 0, role: "group", ariaLabel: label });
  }
  return { place, show };
}

function keyOf({ id, role }) {
  return `${role} ${id}`;
}

function textOf(content) {
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map((part) => part.text ?? `[${part.type}]`).join("\n");
  return content == null ? "" : JSON.stringify(content, null, 2);
}
