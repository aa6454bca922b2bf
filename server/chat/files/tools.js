// The tools of this page: agents call them, the person sees what they do.

/** The tools as agents are offered them. */
export const OFFERED = [
  {
    name: "changeBackground",
    description: "Changes the background colour of the page.",
    parameters: { type: "object", properties: { color: { type: "string", description: "Any CSS colour." } }, required: ["color"] },
  },
  {
    name: "pinNote",
    description: "Pins a short note to the page, where the person keeps seeing it.",
    parameters: { type: "object", properties: { text: { type: "string", description: "The note." } }, required: ["text"] },
  },
];

const TOOLS = {
  changeBackground({ color }) {
    if (!CSS.supports("color", color)) throw new Error(`${color} is not a colour.`);
    document.querySelector("main").style.background = color;
    return `The background is now ${color}.`;
  },
  pinNote({ text }) {
    const notes = document.getElementById("notes");
    const note = document.createElement("li");
    note.dir = "auto";
    note.textContent = String(text).slice(0, 500);
    notes.querySelector("ul").append(note);
    notes.hidden = false;
    return "The note is pinned.";
  },
};

/** Whether a tool is this page's. */
export function isOffered(name) {
  return Object.hasOwn(TOOLS, name);
}

/** Run a tool call and return its result as text; a failure is a result, which the agent may react to. */
export function runTool({ function: { name, arguments: text } }) {
  try {
    return TOOLS[name](JSON.parse(text || "{}"));
  } catch (error) {
    return `Error: ${error.message}`;
  }
}

/** Undo what tools have done to the page. */
export function resetPage() {
  document.querySelector("main").style.background = "";
  const notes = document.getElementById("notes");
  notes.querySelector("ul").replaceChildren();
  notes.hidden = true;
}
