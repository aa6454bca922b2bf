import { Conversation } from "./conversation.js";
import { answersToRun } from "./question_form.js";
import { isOffered, OFFERED, runTool } from "./tools.js";
import { connect, LostError, RefusedError, run, stopRun } from "./wire.js";

const MOST_TOOL_ROUNDS = 10;
const MOST_BREAKS = 60;
const RECONNECT_MS = 1_000;
const AWAY = [502, 503, 504];

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
    this.catchesUp = false;
    this.lost = false;
  }

  /** Read the thread's past and go on with the run that is under way there, if there is one. */
  open() {
    return this.occupied(async () => {
      await this.read(this.past());
      await this.answerCalls();
    });
  }

  /** Read the thread anew: something has happened in it elsewhere. */
  reopen() {
    return this.occupied(() => this.read(this.past()));
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

  /** Answer the questions of the last run and follow the run that goes on from there. They stay if it cannot begin. */
  answer(answers) {
    return this.occupied(async () => {
      const { questions } = this.conversation;
      this.conversation.questions = [];
      try {
        await this.run(answersToRun(answers));
      } catch (error) {
        if (error instanceof LostError || error instanceof RefusedError) this.conversation.questions = [...questions];
        throw error;
      }
      await this.answerCalls();
    });
  }

  /** Stop the run, whose stream then ends by itself; without a connection, stop trying to get one. */
  async stop() {
    if (this.lost) {
      this.lost = false;
      return;
    }
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
    await this.read(this.start(input), input);
  }

  /** Follow a run to its end. After a break the thread is read anew, and what did not arrive is sent again. */
  async read(first, sent) {
    const ours = this.conversation;
    let events = first;
    for (let breaks = 0; breaks < MOST_BREAKS; breaks += 1) {
      try {
        await this.follow(events);
        this.lost = false;
        if (this.conversation.runId === null) {
          if (this.conversation.has(sent?.messages.at(-1))) return;
          this.conversation = ours.upTo(sent.messages.at(-1));
          events = this.start(sent);
          continue;
        }
      } catch (error) {
        const isAway = error instanceof LostError || (breaks > 0 && AWAY.includes(error.status));
        if (!isAway || this.reading.signal.aborted) throw error;
      }
      await this.pause();
      events = this.past();
    }
    this.giveUp();
  }

  start(input) {
    this.catchesUp = false;
    return run(this.agent, input, this.reading.signal);
  }

  async follow(events) {
    for await (const event of events) {
      this.seen(event);
      this.conversation.apply(event);
      this.changed();
    }
  }

  /** Yield what has happened in the thread. Until the runtime has answered, the person goes on seeing what was there. */
  async *past() {
    const { threadId, messages } = this.conversation;
    this.catchesUp = true;
    const anew = new Conversation(threadId);
    for await (const event of connect(this.agent, threadId, this.reading.signal)) {
      this.lost = false;
      this.conversation = anew;
      yield event;
    }
    if (this.conversation === anew || messages.length === 0) return;
    this.conversation.end();
    this.conversation.fail("The runtime does not have this thread any more. With your next message it begins again.");
  }

  async pause() {
    this.lost = true;
    this.changed();
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    if (!this.lost) this.giveUp();
  }

  giveUp() {
    this.lost = false;
    this.conversation.end();
    throw new LostError("The connection to the runtime is lost.");
  }
}
