import { randomUUID } from "node:crypto";

import { play, readScript } from "./script.mjs";

const CALLS = {
  RUN_STARTED: () => {},
  RUN_FINISHED: () => {},
  TEXT_MESSAGE_START: (stream, event) => stream.sendTextMessageStart(event),
  TEXT_MESSAGE_CONTENT: (stream, { messageId, delta }) =>
    stream.sendTextMessageContent({ messageId, content: delta }),
  TEXT_MESSAGE_END: (stream, event) => stream.sendTextMessageEnd(event),
  TOOL_CALL_START: (stream, { toolCallId, toolCallName, parentMessageId }) =>
    stream.sendActionExecutionStart({
      actionExecutionId: toolCallId,
      actionName: toolCallName,
      parentMessageId,
    }),
  TOOL_CALL_ARGS: (stream, { toolCallId, delta }) =>
    stream.sendActionExecutionArgs({ actionExecutionId: toolCallId, args: delta }),
  TOOL_CALL_END: (stream, { toolCallId }) => stream.sendActionExecutionEnd({ actionExecutionId: toolCallId }),
  TOOL_CALL_RESULT: (stream, { toolCallId, toolCallName, content }) =>
    stream.sendActionExecutionResult({
      actionExecutionId: toolCallId,
      actionName: toolCallName,
      result: content,
    }),
  CUSTOM: (stream, { name, value }) => stream.next({ type: "MetaEvent", name, value, data: value }),
};

/** A service adapter, as for a model's API, that plays the script it is asked to. */
export class ScriptedAdapter {
  name = "ScriptedAdapter";

  async process({ threadId, messages, eventSource }) {
    const script = readScript(messages.findLast((message) => message.isTextMessage()).content);
    eventSource.stream(async (stream) => {
      await play(script, (event) => CALLS[event.type](stream, event));
      stream.complete();
    });
    return { threadId: threadId ?? randomUUID() };
  }
}
