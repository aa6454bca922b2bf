import { openBrowser, openPage } from "./browser.mjs";
import { Chat } from "./chat.mjs";
import { startSite } from "./site.mjs";

/** A person with a browser, and the site whose page they visit: one visit at a time. */
export class Visitor {
  /** For `pages` see `startSite`. */
  static async start({ pages } = {}) {
    const site = await startSite({ pages });
    return new Visitor(site, await openBrowser());
  }

  constructor(site, browser) {
    this.site = site;
    this.browser = browser;
  }

  /** Opens the page with these settings, on an origin of its own: the runtime's is another. */
  open({ runtimeUrl, ...query }) {
    const settings = new URLSearchParams({ runtimeUrl, ...query });
    return this.go(`${this.site.url}?${settings}`, [this.site.url, runtimeUrl]);
  }

  /** Opens `url`; for `urls` and `problems` see `openPage`. The chat is ready for a turn. */
  async go(url, urls) {
    this.visit = await openPage(this.browser, url, urls);
    const { page, problems } = this.visit;
    return { page, problems, chat: await Chat.on(page) };
  }

  /** Ends the visit, if there is one. */
  async leave() {
    await this.visit?.context.close();
  }

  async stop() {
    await this.browser.close();
    await this.site.stop();
  }
}
