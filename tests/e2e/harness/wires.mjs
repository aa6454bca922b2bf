export const KEY = "sk-verysecretkey0123456789";

/**
 * The vendors' protocols: how a runtime is pointed at the server, and what a request has in its body.
 *
 * `said` are the texts of the conversation as `{role, text}`, `results` the results of tool calls by call id, `pictures`
 * the pictures as `{type, bytes}`, `limits` the settings as `{temperature, maxTokens, stop}`, and `choice` the name of the
 * tool that has to be called, `any` if it may be any.
 */
export const WIRES = {
  openai: {
    name: "OpenAI",
    variables: (url) => ({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: `${url}/v1` }),
    path: "/v1/chat/completions",
    said: ({ messages }) =>
      messages
        .filter(({ role }) => ["user", "assistant"].includes(role))
        .map(({ role, content }) => ({ role, text: textOf(content) }))
        .filter(({ text }) => text),
    results: ({ messages }) =>
      Object.fromEntries(
        messages.filter(({ role }) => role === "tool").map(({ tool_call_id, content }) => [tool_call_id, content]),
      ),
    pictures: ({ messages }) =>
      messages
        .flatMap(({ content }) => (Array.isArray(content) ? content : []))
        .filter(({ type }) => type === "image_url")
        .map(({ image_url: { url } }) => /^data:(?<type>[^;]+);base64,(?<bytes>.*)$/.exec(url).groups)
        .map(({ type, bytes }) => ({ type, bytes })),
    limits: ({ temperature, max_completion_tokens, max_tokens, stop }) => ({
      temperature,
      maxTokens: max_completion_tokens ?? max_tokens,
      stop,
    }),
    tools: ({ tools = [] }) => tools.map((tool) => tool.function.name).sort(),
    choice: ({ tool_choice }) => (tool_choice === "required" ? "any" : tool_choice?.function?.name),
  },
  anthropic: {
    name: "Anthropic",
    variables: (url) => ({ ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: url }),
    path: "/v1/messages",
    said: ({ messages }) =>
      messages.map(({ role, content }) => ({ role, text: textOf(content) })).filter(({ text }) => text),
    results: ({ messages }) =>
      Object.fromEntries(
        blocksOf(messages, "tool_result").map(({ tool_use_id, content }) => [tool_use_id, textOf(content)]),
      ),
    pictures: ({ messages }) =>
      blocksOf(messages, "image").map(({ source }) => ({ type: source.media_type, bytes: source.data })),
    limits: ({ temperature, max_tokens, stop_sequences }) => ({
      temperature,
      maxTokens: max_tokens,
      stop: stop_sequences,
    }),
    tools: ({ tools = [] }) => tools.map(({ name }) => name).sort(),
    choice: ({ tool_choice }) => (tool_choice?.type === "any" ? "any" : tool_choice?.name),
  },
};

/** The key that a request carries. */
export function keyOf(headers) {
  return headers["x-api-key"] ?? headers.authorization?.replace("Bearer ", "");
}

function textOf(content) {
  if (!Array.isArray(content)) return content ?? "";
  return content
    .filter(({ type }) => type === "text")
    .map(({ text }) => text)
    .join("");
}

function blocksOf(messages, kind) {
  return messages
    .flatMap(({ content }) => (Array.isArray(content) ? content : []))
    .filter(({ type }) => type === kind);
}
