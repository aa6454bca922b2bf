import { Conversation } from "./conversation.js";
import { answersToRun } from "./question_form.js";
import { isOffered, OFFERED, runTool } from "./tools.js";
import { connect, run, stopRun } from "./wire.js";

const MOST_TOOL_ROUNDS = 10;
const MOST_RECONNECTIONS = 5;
const RECONNECT_MS = 1_000;

/**
 * One thread with one agent: what the person does becomes runs, and their events a conversation.
 *
 * `seen` is called with each event, `changed` after each change, `failed` with each error.
 */
export class Session {
  constructor(agent, threadId, { seen, changed, failed }) {
    this.agent = agent;
    this.conversation = new Conversation(threadId);
    this.seen = seen;
    this.changed = changed;
    this.failed = failed;
    this.reading = new AbortController();
    this.busy = false;
  }

  /** Read the thread's past and go on with the run that is under way there, if there is one. */
  open() {
    return this.occupied(async () => {
      await this.read(connect(this.agent, this.conversation.threadId, this.reading.signal));
      await this.answerCalls();
    });
  }

  /** Send a message and follow the run that answers it. */
  say(text) {
    return this.occupied(async () => {
      this.conversation.say(text);
      this.changed();
      await this.run();
      await this.answerCalls();
    });
  }

  /** Answer the questions of the last run and follow the run that goes on from there. */
  answer(answers) {
    return this.occupied(async () => {
      this.conversation.questions = [];
      await this.run(answersToRun(answers));
      await this.answerCalls();
    });
  }

  /** Stop the run. Its stream then ends by itself. */
  async stop() {
    try {
      await stopRun(this.agent, this.conversation.threadId);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Stop reading; the run goes on, and can be joined again. */
  leave() {
    this.reading.abort();
  }

  async occupied(work) {
    if (this.busy) return;
    this.busy = true;
    this.changed();
    try {
      await work();
    } catch (error) {
      if (!this.reading.signal.aborted) this.failed(error);
    }
    this.busy = false;
    this.changed();
  }

  async answerCalls() {
    for (let round = 0; round < MOST_TOOL_ROUNDS; round += 1) {
      const calls = this.conversation.openCalls().filter((call) => isOffered(call.function.name));
      if (calls.length === 0 || this.conversation.questions.length > 0) return;
      for (const call of calls) this.conversation.answer(call.id, runTool(call));
      await this.run();
    }
  }

  async run(extra = { forwardedProps: {} }) {
    const { threadId, state } = this.conversation;
    const input = { threadId, runId: crypto.randomUUID(), state, tools: OFFERED, context: [], messages: this.conversation.sent(), ...extra };
    await this.read(run(this.agent, input, this.reading.signal));
  }

  /** Take the events of a stream in. One that breaks off in the middle of a run is joined again. */
  async read(events, reconnections = 0) {
    try {
      for await (const event of events) {
        this.seen(event);
        this.conversation.apply(event);
        this.changed();
      }
      if (this.conversation.runId === null) return;
    } catch (error) {
      if (this.reading.signal.aborted || !(error instanceof TypeError) || reconnections >= MOST_RECONNECTIONS) throw error;
    }
    await this.rejoin(reconnections);
  }

  async rejoin(reconnections) {
    if (reconnections >= MOST_RECONNECTIONS) throw new Error("The connection to the runtime is lost.");
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    const { threadId } = this.conversation;
    this.conversation = new Conversation(threadId);
    await this.read(connect(this.agent, threadId, this.reading.signal), reconnections + 1);
  }
}
