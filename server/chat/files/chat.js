import { write } from "./elements.js";
import { EventList } from "./event_list.js";
import { MessageLog } from "./message_log.js";
import { QuestionForm } from "./question_form.js";
import { Session } from "./session.js";
import { StateTree } from "./state_tree.js";
import { makeTabs } from "./tabs.js";
import { switchTheme } from "./theme.js";
import { ThreadList } from "./thread_list.js";
import { resetPage } from "./tools.js";
import { info, useToken } from "./wire.js";

const $ = (id) => document.getElementById(id);
const stateTree = new StateTree($("state"));
const eventList = new EventList($("events"));
const questionForm = new QuestionForm($("questions"), (answers) => work(session.answer(answers)));
const threadList = new ThreadList($("thread-list"), { open, failed, gone });
let messageLog;
let session;
let agents = {};
let listsThreads = false;
let drawing = false;

/** Draw at the next frame, however many events come until then. */
function changed() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw();
  });
}

function draw() {
  const { conversation, busy } = session;
  questionForm.update(busy ? [] : conversation.questions);
  messageLog.update(conversation);
  stateTree.update(conversation.state ?? {});
  eventList.update();
  $("send").disabled = busy;
  $("stop").disabled = conversation.runId === null;
  $("log").setAttribute("aria-busy", String(busy));
  write($("status"), conversation.runId === null ? "" : conversation.step ? `Running: ${conversation.step}` : "Running");
}

function failed(error) {
  $("credentials").hidden = error.status !== 401;
  session?.conversation.fail(error.message);
  if (session) changed();
  else write($("status"), error.message);
}

/** Open a thread: its past, its state, and the run that goes on there. */
async function open(agent, threadId) {
  session?.leave();
  $("agent").value = Object.hasOwn(agents, agent) ? agent : Object.keys(agents)[0];
  write($("about"), agents[$("agent").value]?.description ?? "");
  const place = new URLSearchParams({ agent: $("agent").value, thread: threadId });
  history.replaceState(null, "", `${location.pathname}${location.search}#${place}`);
  resetPage();
  $("log").replaceChildren();
  messageLog = new MessageLog($("log"));
  eventList.clear();
  const opened = new Session($("agent").value, threadId, {
    seen: (event) => session === opened && eventList.add(event),
    changed: () => session === opened && changed(),
    failed: (error) => session === opened && failed(error),
  });
  session = opened;
  $("text").focus();
  await work(session.open());
}

function openNew() {
  return open($("agent").value, crypto.randomUUID());
}

/** Wait for what a session does; then threads may have other names and times. */
async function work(done) {
  await done;
  if (listsThreads) await threadList.refresh(session.conversation.threadId);
}

async function gone(threadId) {
  if (threadId === session.conversation.threadId) await openNew();
  else await threadList.refresh(session.conversation.threadId);
}

/** Return the agents to pick from: `default` is not a second one where it is but another name of the first. */
function pickable(all) {
  const { default: standard, ...named } = all;
  const same = Object.values(named).some(({ description, className }) => description === standard?.description && className === standard?.className);
  return same ? Object.keys(named) : Object.keys(all);
}

async function begin() {
  try {
    const runtime = await info();
    agents = runtime.agents;
    listsThreads = runtime.threadEndpoints?.list ?? false;
  } catch (error) {
    return failed(error);
  }
  $("credentials").hidden = true;
  $("threads").hidden = !listsThreads;
  $("agent").replaceChildren(...pickable(agents).map((name) => new Option(name)));
  const place = new URLSearchParams(location.hash.slice(1));
  await open(place.get("agent") ?? $("agent").value, place.get("thread") ?? crypto.randomUUID());
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!session || session.busy || text === "") return;
  $("text").value = "";
  work(session.say(text));
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("stop").disabled) session.stop();
  if (event.altKey && event.code === "KeyN") openNew();
});
$("stop").addEventListener("click", () => session.stop());
$("new").addEventListener("click", openNew);
$("agent").addEventListener("change", openNew);
$("clear-events").addEventListener("click", () => eventList.clear());
$("credentials").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken($("token").value);
  begin();
});
makeTabs(document.querySelector("[role=tablist]"));
switchTheme($("theme"));
begin();
