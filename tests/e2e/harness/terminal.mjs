const PAGE = `<!doctype html><title>Terminal</title><style>
  body { margin: 0; padding: 20px 24px; background: #16181d; color: #d7dae0; font: 16px/1.6 "DejaVu Sans Mono", monospace; }
  pre { margin: 0; font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; }
  a { color: #7cc7ff; }
  .prompt { color: #7ee0a1; }
</style><pre></pre>`;

/** A terminal that shows what a person types and what the commands print, with links that can be clicked. */
export class Terminal {
  static async on(page) {
    await page.setContent(PAGE);
    return new Terminal(page);
  }

  constructor(page) {
    this.page = page;
    this.lines = [];
    this.shown = Promise.resolve();
    this.left = false;
  }

  /** Shows `command` behind a prompt. */
  async type(command) {
    this.lines.push({ prompt: true, text: command });
    await this.show();
  }

  /** Shows `output` below the last command, as long as the page is a terminal. */
  print(output) {
    if (this.left) return;
    this.lines = [...this.lines.filter(({ prompt }) => prompt), ...output.split("\n").map((text) => ({ text }))];
    this.shown = this.shown.then(() => this.show());
  }

  /** Clicks the link to `url`; the browser goes there. */
  async follow(url) {
    this.left = true;
    await this.shown;
    await this.page.getByText(url, { exact: true }).click();
  }

  show() {
    return this.page.evaluate((lines) => {
      const nodes = lines.flatMap(({ prompt, text }) => {
        const line = document.createElement("div");
        if (prompt) line.append(Object.assign(document.createElement("span"), { className: "prompt", textContent: "$ " }));
        for (const part of text.split(/(https?:\/\/[^\s"<>]+)/)) {
          line.append(part.startsWith("http") ? Object.assign(document.createElement("a"), { href: part, textContent: part }) : part);
        }
        if (!text) line.append("\u00a0");
        return [line];
      });
      document.querySelector("pre").replaceChildren(...nodes);
    }, this.lines);
  }
}
