// AG-UI in its REST form, as CopilotKit's clients from 1.50 on speak it. The page stands at {runtime}/chat/.

const TOKEN = "copilotkit-chat-token";

/** A request that the runtime refused. */
export class RefusedError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The runtime could not be reached, or the connection to it broke off. */
export class LostError extends Error {}

/** Keep a token that every further request carries, until the tab is closed. */
export function useToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** Return what the runtime is and the agents that it has. */
export function info() {
  return json("info");
}

/** Return the newest threads, so many pages of them, and whether there are older ones. */
export async function listThreads(pages) {
  const threads = [];
  let cursor = "";
  for (let page = 0; page < pages && cursor !== null; page += 1) {
    const found = await json(`threads?limit=50&cursor=${encodeURIComponent(cursor)}`);
    threads.push(...found.threads);
    cursor = found.nextCursor;
  }
  return { threads, hasOlder: cursor !== null };
}

/** Delete a thread with everything that belongs to it. */
export function deleteThread(threadId) {
  return json(`threads/${encodeURIComponent(threadId)}`, { method: "DELETE" });
}

/** Stop the run that goes on in a thread. */
export function stopRun(agent, threadId) {
  return json(`agent/${encodeURIComponent(agent)}/stop/${encodeURIComponent(threadId)}`, { method: "POST" });
}

/** Start a run and yield its events until it ends. */
export function run(agent, input, signal) {
  return events(`agent/${encodeURIComponent(agent)}/run`, input, signal);
}

/** Yield what has happened in a thread, then what happens until the run that goes on there ends. */
export function connect(agent, threadId, signal) {
  const input = { threadId, runId: crypto.randomUUID(), state: {}, messages: [], tools: [], context: [], forwardedProps: {} };
  return events(`agent/${encodeURIComponent(agent)}/connect`, input, signal);
}

async function json(path, options) {
  return (await request(path, options)).json();
}

async function* events(path, input, signal) {
  const headers = { "Content-Type": "application/json", Accept: "text/event-stream" };
  const response = await request(path, { method: "POST", headers, body: JSON.stringify(input), signal });
  for await (const frame of frames(response.body.pipeThrough(new TextDecoderStream()))) {
    if (frame.startsWith("data:")) yield JSON.parse(frame.slice("data:".length));
  }
}

async function request(path, { headers = {}, ...options } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const credentials = token ? { Authorization: `Bearer ${token}` } : {};
  const url = new URL(`../${path}`, document.baseURI);
  const response = await unlessLost(fetch(url, { ...options, headers: { ...headers, ...credentials } }));
  if (!response.ok) throw new RefusedError(response.status, reason(response.status, await response.text()));
  return response;
}

function reason(status, body) {
  try {
    const { message, error } = JSON.parse(body);
    return message ?? error ?? `HTTP ${status}`;
  } catch {
    return `HTTP ${status} ${body.slice(0, 200)}`;
  }
}

/** Wait for what the network does; browsers report its failures as TypeErrors. */
async function unlessLost(done) {
  try {
    return await done;
  } catch (error) {
    if (error instanceof TypeError) throw new LostError("The runtime cannot be reached.");
    throw error;
  }
}

async function* frames(stream) {
  const reader = stream.getReader();
  let rest = "";
  for (let part = await unlessLost(reader.read()); !part.done; part = await unlessLost(reader.read())) {
    const whole = (rest + part.value).split("\n\n");
    rest = whole.pop();
    yield* whole;
  }
}
