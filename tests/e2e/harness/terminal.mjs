const PAGE = `<!doctype html><title>Terminal</title><style>
  body { margin: 0; padding: 20px 24px; background: #16181d; color: #d7dae0; font: 16px/1.6 "DejaVu Sans Mono", monospace; }
  pre { margin: 0; font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; }
  a { color: #7cc7ff; }
  .prompt { color: #7ee0a1; }
  .bold { font-weight: bold; }
  .faint { opacity: 0.7; }
  .yellow { color: #e5c07b; }
</style><pre></pre>`;
const STYLES = { 1: "bold", 2: "faint", 33: "yellow" };

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
    const printed = output.replaceAll("\r", "").split("\n").map((text) => ({ text }));
    this.lines = [...this.lines.filter(({ prompt }) => prompt), ...printed];
    this.shown = this.shown.then(() => this.show());
  }

  /** Clicks the link to `url`; the browser goes there. */
  async follow(url) {
    this.left = true;
    await this.shown;
    await this.page.getByText(url, { exact: true }).click();
  }

  show() {
    const lines = this.lines.map(({ prompt, text }) => ({ prompt, parts: partsOf(text) }));
    return this.page.evaluate((shown) => {
      const nodes = shown.map(({ prompt, parts }) => {
        const line = document.createElement("div");
        if (prompt) line.append(Object.assign(document.createElement("span"), { className: "prompt", textContent: "$ " }));
        for (const { text, href, className } of parts) {
          line.append(Object.assign(document.createElement(href ? "a" : "span"), { textContent: text, className, ...(href && { href }) }));
        }
        return line;
      });
      document.querySelector("pre").replaceChildren(...nodes);
    }, lines);
  }
}

/** The parts of a line in the order that they are shown in, with their addresses and styles. */
function partsOf(line) {
  let className = "";
  const parts = [];
  for (const [piece, codes] of line.matchAll(/\u001b\[([\d;]*)m|https?:\/\/[^\s"<>\u001b]+|./gu)) {
    if (codes !== undefined) className = codes.split(";").map((code) => STYLES[code] ?? "").join(" ").trim();
    else if (piece.startsWith("http")) parts.push({ text: piece, href: piece, className });
    else if (parts.length > 0 && !parts.at(-1).href && parts.at(-1).className === className) parts.at(-1).text += piece;
    else parts.push({ text: piece, className });
  }
  return parts.length > 0 ? parts : [{ text: "\u00a0", className }];
}
