import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

const LONGEST_MS = 700; // nobody wants to watch packages being installed
const NEXT_MS = 60;

/** The frames of a screen recording: pictures of a page, and how long each is shown. */
export class Recording {
  /** Records `page` into `folder`; without a folder nothing is recorded. */
  constructor(page, folder) {
    this.page = page;
    this.folder = folder;
    this.frames = [];
  }

  /** Takes a picture, to be shown for `ms`. */
  async frame(ms) {
    if (!this.folder) return;
    await mkdir(this.folder, { recursive: true });
    const file = `${String(this.frames.length).padStart(4, "0")}.png`;
    await this.page.screenshot({ path: join(this.folder, file) });
    this.frames.push({ file, ms });
  }

  /** Takes pictures until `happening` has happened, and returns what it led to. */
  async during(happening) {
    let over = false;
    const ended = Promise.resolve(happening).finally(() => (over = true));
    while (this.folder && !over) {
      const from = Date.now();
      await this.frame(0);
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, NEXT_MS))]);
      this.frames.at(-1).ms = Math.min(Date.now() - from, LONGEST_MS);
    }
    return ended;
  }

  /** Writes how long each picture is shown, for `scripts.recording`. */
  async save() {
    if (this.folder) await writeFile(join(this.folder, "frames.json"), JSON.stringify(this.frames));
  }
}
