import { patched } from "./json_patch.js";

const SENT_ROLES = ["user", "assistant", "tool", "system", "developer"];
const TEXT_ROLES = ["assistant", "user", "system", "developer"];

/** A thread as its events describe it: messages, state, and the questions that its last run left open. */
export class Conversation {
  constructor(threadId) {
    this.threadId = threadId;
    this.messages = [];
    this.state = {};
    this.questions = [];
    this.runId = null;
    this.step = null;
  }

  /** Take one AG-UI event in. */
  apply(event) {
    HANDLERS[event.type]?.(this, event);
  }

  /** Add what the person says. */
  say(content) {
    this.messages.push({ id: crypto.randomUUID(), role: "user", content });
  }

  /** Add the result of a tool call that this page answered. */
  answer(toolCallId, content) {
    this.messages.push({ id: crypto.randomUUID(), role: "tool", toolCallId, content });
  }

  /** Add an error, for the person alone. */
  fail(content) {
    this.messages.push({ id: crypto.randomUUID(), role: "error", content });
  }

  /** Take the run as ended, whatever became of it. */
  end() {
    this.runId = this.step = null;
  }

  /** Whether a message is there; true for none. */
  has(message) {
    return message === undefined || this.messages.some(({ id }) => id === message.id);
  }

  /** Drop what came after a message, and return the conversation. */
  upTo(message) {
    this.end();
    this.messages.length = this.messages.findIndex(({ id }) => id === message.id) + 1;
    return this;
  }

  /** Return the messages that a run is sent. */
  sent() {
    return this.messages.filter(({ role }) => SENT_ROLES.includes(role));
  }

  /** Return the results of tool calls by the calls' ids. */
  results() {
    const answered = this.messages.filter(({ role }) => role === "tool").reverse();
    return new Map(answered.map(({ toolCallId, content }) => [toolCallId, content]));
  }

  /** Return the tool calls of the last assistant message that have no result. */
  openCalls() {
    const last = this.messages.findLast(({ role }) => role === "assistant" || role === "user");
    const results = this.results();
    return (last?.toolCalls ?? []).filter(({ id }) => !results.has(id));
  }

  message(id, role) {
    const known = this.messages.findLast((message) => message.id === id && message.role === role);
    if (known) return known;
    this.messages.push({ id, role, content: "" });
    return this.messages.at(-1);
  }

  call(id) {
    const isIt = (call) => call.id === id;
    return this.messages.findLast(({ toolCalls }) => toolCalls?.some(isIt))?.toolCalls.find(isIt);
  }
}

function append(role) {
  return (thread, { messageId, delta }) => {
    thread.message(messageId, role).content += delta;
  };
}

function thought(thread, { delta }) {
  const last = thread.messages.at(-1);
  if (last?.role === "reasoning") last.content += delta;
  else thread.message(crypto.randomUUID(), "reasoning").content = delta;
}

const HANDLERS = {
  RUN_STARTED(thread, { runId, input }) {
    thread.runId = runId;
    thread.questions = [];
    const known = new Set(thread.messages.map(({ id }) => id));
    thread.messages.push(...(input?.messages ?? []).filter(({ id }) => !known.has(id)));
  },
  RUN_FINISHED(thread, { outcome }) {
    thread.end();
    if (outcome?.type === "interrupt") thread.questions = outcome.interrupts.map(standardQuestion);
  },
  RUN_ERROR(thread, { message, code }) {
    thread.end();
    thread.fail(code ? `${message} (${code})` : message);
  },
  STEP_STARTED(thread, { stepName }) {
    thread.step = stepName;
  },
  TEXT_MESSAGE_START(thread, { messageId, role = "assistant" }) {
    thread.message(messageId, role);
  },
  TEXT_MESSAGE_CONTENT(thread, { messageId, delta }) {
    const role = thread.messages.findLast(({ id, role }) => id === messageId && TEXT_ROLES.includes(role))?.role ?? "assistant";
    thread.message(messageId, role).content += delta;
  },
  TOOL_CALL_START(thread, { toolCallId, toolCallName, parentMessageId }) {
    const message = thread.message(parentMessageId ?? toolCallId, "assistant");
    message.toolCalls ??= [];
    message.toolCalls.push({ id: toolCallId, type: "function", function: { name: toolCallName, arguments: "" } });
  },
  TOOL_CALL_ARGS(thread, { toolCallId, delta }) {
    const call = thread.call(toolCallId);
    if (call) call.function.arguments += delta;
  },
  TOOL_CALL_RESULT(thread, { messageId, toolCallId, content }) {
    if (!thread.results().has(toolCallId)) {
      thread.messages.push({ id: messageId, role: "tool", toolCallId, content });
    }
  },
  STATE_SNAPSHOT(thread, { snapshot }) {
    thread.state = snapshot;
  },
  STATE_DELTA(thread, { delta }) {
    thread.state = patched(thread.state, delta);
  },
  MESSAGES_SNAPSHOT(thread, { messages }) {
    thread.messages = messages;
  },
  REASONING_MESSAGE_CONTENT: append("reasoning"),
  THINKING_TEXT_MESSAGE_CONTENT: thought,
  ACTIVITY_SNAPSHOT(thread, { messageId, activityType, content, replace = true }) {
    const activity = thread.message(messageId, "activity");
    if (replace || activity.content === "") Object.assign(activity, { activityType, content });
  },
  ACTIVITY_DELTA(thread, { messageId, patch }) {
    const activity = thread.message(messageId, "activity");
    activity.content = patched(activity.content || {}, patch);
  },
  CUSTOM(thread, { name, value }) {
    if (name === "on_interrupt") thread.questions = [{ value }];
    if (name === "run_failed") thread.fail(value.message);
  },
};

function standardQuestion({ id, message, metadata, reason }) {
  return { interruptId: id, value: metadata?.value ?? message ?? reason };
}
