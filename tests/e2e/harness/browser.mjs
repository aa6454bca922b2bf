import assert from "node:assert/strict";
import process from "node:process";

import { chromium } from "playwright-core";

import { eventually } from "./eventually.mjs";

const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
// react-core aborts its request with a bare string, which its own banner cannot word: every runtime gets this one.
const CLIENT_STOPPED = /^\[Network\] /;
/** What a page is seen with: finer for pictures, which cost more than twice the painting. */
export const VIEW = {
  viewport: { width: 1280, height: 760 },
  deviceScaleFactor: process.env.SCREENSHOT === "1" ? 1.5 : 1,
};

/** Starts Debian's Chromium with an empty profile. */
export function openBrowser() {
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
}

/**
 * Opens `url` as a new visitor, who has put CopilotKit's inspector button away, and waits until the page has asked
 * the runtime all that it asks at first: a turn typed earlier is wiped out by react-core when the thread's stored
 * messages arrive.
 *
 * Returns the visitor's context, the page, and `problems`: what a person with the console open would complain
 * about, as texts. A request to another origin than those of `urls` is one of them.
 */
export async function openPage(browser, url, urls) {
  const context = await browser.newContext(VIEW);
  await context.addInitScript(() => localStorage.setItem("cpk:inspector:hidden", "1"));
  const page = await context.newPage();
  const problems = watch(page, urls.map((each) => new URL(each).origin));
  const waiting = requestsUnderWay(page);
  const greeted = page.waitForRequest((request) => request.postData()?.includes("availableAgents"));
  await Promise.all([greeted, page.goto(url)]);
  await eventually(() => waiting.size === 0, { what: "the page's first requests to be answered" });
  return { context, page, problems };
}

function requestsUnderWay(page) {
  const requests = new Set();
  page.on("request", (request) => requests.add(request));
  page.on("requestfinished", (request) => requests.delete(request));
  page.on("requestfailed", (request) => requests.delete(request));
  return requests;
}

function watch(page, origins) {
  const problems = [];
  page.on("pageerror", (error) => problems.push(`uncaught: ${error}`));
  page.on("console", (message) => {
    if (isComplaint(message)) problems.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== "data:" && !origins.includes(origin)) problems.push(`foreign request: ${request.url()}`);
  });
  return problems;
}

function isComplaint(message) {
  return message.type() === "error" || /version mismatch/i.test(message.text());
}

/** The error banners that CopilotKit shows at this moment, as texts. */
export function banners(page) {
  return page.locator('div[style*="z-index: 9999"]').allInnerTexts();
}

/** Nobody who looked at the page of `visit`, or at its console, would complain. */
export async function assertAllIsWell(visit) {
  assert.deepEqual(visit.problems, []);
  assert.deepEqual(await banners(visit.page), []);
}

/** The same after a run was stopped. */
export async function assertStoppedWell(visit) {
  assert.deepEqual(visit.problems, []);
  for (const banner of await banners(visit.page)) assert.match(banner, CLIENT_STOPPED);
}
