import { Announcer } from "./announcer.js";
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
import { info, LostError, useToken } from "./wire.js";

const $ = (id) => document.getElementById(id);
const stateTree = new StateTree($("state"));
const eventList = new EventList($("events"));
const announcer = new Announcer($("announcements"));
const questionForm = new QuestionForm($("questions"), {
  answered: (answers) => work(session.answer(answers)),
  announce: (text) => announcer.say(text),
  leave: () => $("text").focus(),
  waits: () => document.activeElement === document.body || ($("composer").contains(document.activeElement) && $("text").value === ""),
});
// What this tab does to threads, for tabs that show the same ones.
const otherTabs = new BroadcastChannel(document.baseURI);
const RETRY_MS = 2_000;
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
  const { conversation, busy, lost, catchesUp } = session;
  announcer.update(conversation, catchesUp);
  questionForm.update(busy ? [] : conversation.questions); // before the messages, to whose end it leaves less room
  messageLog.update(conversation);
  stateTree.update(conversation.state ?? {});
  eventList.update();
  $("send").ariaDisabled = String(busy);
  $("stop").ariaDisabled = String(conversation.runId === null && !lost);
  $("log").dataset.busy = String(busy);
  write($("status"), statusOf(session));
}

function statusOf({ lost, conversation: { runId, step } }) {
  if (lost) return "No connection to the runtime. Trying again.";
  if (runId === null) return "";
  return step ? `Running: ${step}` : "Running";
}

function failed(error) {
  if (error.status === 401) askForCredentials();
  session?.conversation.fail(error.message);
  if (session) changed();
  else write($("status"), error.message);
}

function askForCredentials() {
  $("credentials").hidden = false;
  $("token").focus();
}

/** Open a thread that the person chose; the browser's "back" leads to the one before. */
function open(agent, threadId) {
  const place = new URLSearchParams({ agent, thread: threadId });
  if (location.hash !== `#${place}`) history.pushState(null, "", hash(place));
  $("text").focus();
  return show(agent, threadId);
}

function hash(place) {
  return `${location.pathname}${location.search}#${place}`;
}

/** Show a thread: its past, its state, and the run that goes on there. */
async function show(agent, threadId) {
  session?.leave();
  const names = [...$("agent").options].map(({ value }) => value);
  $("agent").value = names.includes(agent) ? agent : names[0];
  write($("about"), agents[$("agent").value]?.description ?? "");
  history.replaceState(null, "", hash(new URLSearchParams({ agent: $("agent").value, thread: threadId })));
  resetPage();
  $("log").replaceChildren();
  messageLog = new MessageLog($("log"));
  announcer.reset();
  eventList.clear();
  const opened = new Session($("agent").value, threadId, {
    seen: (event) => session === opened && seen(event),
    changed: () => session === opened && changed(),
    failed: (error) => session === opened && failed(error),
  });
  session = opened;
  await work(session.open());
}

function seen(event) {
  eventList.add(event);
  if (event.type === "RUN_STARTED" && !session.catchesUp) otherTabs.postMessage({ ran: event.threadId });
}

/** Show the thread that the address names, or a new one. */
function showPlace() {
  const place = new URLSearchParams(location.hash.slice(1));
  return show(place.get("agent") ?? $("agent").value, place.get("thread") ?? crypto.randomUUID());
}

function openNew() {
  return session && open($("agent").value, crypto.randomUUID());
}

/** Wait for what a session does; then threads may have other names and times. */
async function work(done) {
  await done;
  if (listsThreads) await threadList.refresh(session.conversation.threadId);
}

/** Follow what another tab has done to a thread. */
async function follow({ ran, deleted }) {
  if (!session) return;
  const { threadId } = session.conversation;
  if (ran === threadId) return work(session.reopen());
  if (deleted === threadId) {
    await show($("agent").value, crypto.randomUUID());
    session.conversation.fail("The thread that was open here was deleted in another tab.");
    return changed();
  }
  if (listsThreads) await threadList.refresh(threadId);
}

async function gone(threadId) {
  otherTabs.postMessage({ deleted: threadId });
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
    failed(error);
    if (error instanceof LostError) setTimeout(begin, RETRY_MS);
    return;
  }
  write($("status"), "");
  if ($("credentials").contains(document.activeElement)) $("text").focus();
  $("credentials").hidden = true;
  $("threads").hidden = !listsThreads;
  $("agent").replaceChildren(...pickable(agents).map((name) => new Option(name)));
  await showPlace();
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!session || session.busy || text === "") return;
  $("text").value = "";
  work(session.say(text));
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !isComposing(event)) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !isComposing(event)) stop();
  if (event.altKey && !event.ctrlKey && event.code === "KeyN" && event.key !== "Dead") openNew();
});
$("stop").addEventListener("click", stop);
$("new").addEventListener("click", openNew);
$("agent").addEventListener("change", () => session && show($("agent").value, crypto.randomUUID()));
window.addEventListener("popstate", () => session && showPlace());
otherTabs.addEventListener("message", ({ data }) => follow(data));
$("clear-events").addEventListener("click", () => eventList.clear());
$("credentials").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken($("token").value);
  write($("status"), "");
  begin();
});

/** Whether a key belongs to an input method that is composing; Safari reports its last one with code 229 alone. */
function isComposing({ isComposing, keyCode }) {
  return isComposing || keyCode === 229;
}

function stop() {
  if ($("stop").ariaDisabled === "false") session.stop();
}

makeTabs(document.querySelector("[role=tablist]"));
switchTheme($("theme"));
begin();
