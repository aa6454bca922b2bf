import { readFile } from "node:fs/promises";

const FENCE = /^```(\w*)\n(.*?)^```$/gms;
const FILE = /^(?:#|\/\/) (\S+)\n/;

/** The fenced blocks of the section of `document` below `heading`, in their order. */
export async function sectionOf(document, heading) {
  const text = await readFile(document, "utf8");
  const [, section] = text.split(new RegExp(`^## ${heading}$`, "m"));
  if (!section) throw new Error(`${document} has no section ${heading}`);
  return [...section.split(/^## /m)[0].matchAll(FENCE)].map(([, language, content]) => ({ language, content }));
}

/** The files that the blocks name in their first line, as `{path: content}`. */
export function filesOf(blocks) {
  const named = blocks.map(({ content }) => [FILE.exec(content)?.[1], content.replace(FILE, "")]);
  return Object.fromEntries(named.filter(([path]) => path));
}

/** The commands of the blocks, as one script. */
export function commandsOf(blocks) {
  return blocks.filter(({ language }) => language === "bash").map(({ content }) => content).join("");
}
