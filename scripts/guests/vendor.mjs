// A vendor's server on loopback for the guests' models. It does what the orders in the newest user message say:
//   <<say TEXT>>  <<call TOOL ARGUMENTS>>  <<recall>>  <<go on>>
// With OpenAI's, Anthropic's and Google's protocols. Run by vendor.py: node vendor.mjs FOLDER_OF_AIMOCK
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.argv[2]}/`));
const { LLMock } = await import(pathToFileURL(require.resolve("@copilotkit/aimock")));

const MS_PER_PIECE = 5;
const CHARACTERS_PER_PIECE = 12;
const ENDLESS = "on and on ".repeat(5000);

/** The text of a message, whatever its form. */
function textOf({ content }) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("");
}

function answerTo({ messages, tools }) {
  // Some frameworks send an empty user message behind a tool's result.
  const asked = messages.findLastIndex((message) => message.role === "user" && textOf(message).trim());
  const said = asked < 0 ? "" : textOf(messages[asked]);
  const results = messages.slice(asked + 1).filter(({ role }) => role === "tool");
  if (results.length > 0) return { content: `Result: ${textOf(results.at(-1))}` };
  const spoken = messages.slice(asked + 1).some(({ role }) => role === "assistant");
  if (spoken) return { content: `Done: ${said.trim().slice(0, 200)}` };
  return obey(said, messages, new Set((tools ?? []).map((tool) => tool.function?.name ?? tool.name)));
}

function obey(said, messages, offered) {
  const [, order, rest] = /<<(say|call|recall|go on)\s*(.*?)>>/s.exec(said) ?? [];
  switch (order) {
    case "say":
      return { content: rest };
    case "call":
      return call(/^(\S+)\s*(.*)$/s.exec(rest), offered);
    case "recall":
      return { content: `The word is ${/My word is (\w+)/.exec(messages.map(textOf).join("\n"))?.[1] ?? "unknown"}.` };
    case "go on":
      return { content: ENDLESS };
    default:
      return { content: `Heard: ${said.trim().slice(0, 200)}` };
  }
}

function call([, name, argumentsText], offered) {
  if (!offered.has(name)) return { content: `There is no tool ${name}, only: ${[...offered].join(", ")}` };
  return { toolCalls: [{ name, arguments: argumentsText }] };
}

const mock = new LLMock({ port: 0, strict: true, latency: MS_PER_PIECE, chunkSize: CHARACTERS_PER_PIECE });
mock.on({}, answerTo);
console.log(await mock.start());
