import { element } from "./elements.js";

/** Asks the person what a run wants to know, and hands their answers over once all are given. */
export class QuestionForm {
  constructor(place, { answered, announce, leave, waits }) {
    this.place = place;
    this.answered = answered;
    this.announce = announce;
    this.leave = leave;
    this.waits = waits;
    this.questions = [];
  }

  /** Show the questions that are open now. A person who does something else is not taken away from it. */
  update(open) {
    if (open === this.questions || (open.length === 0 && this.questions.length === 0)) return;
    this.questions = open;
    this.answers = new Map();
    const waits = this.waits();
    const leaves = open.length === 0 && this.place.contains(document.activeElement);
    this.place.replaceChildren(...open.map((question, number) => this.form(question, `question-${number}`)));
    if (leaves) this.leave();
    if (open.length === 0) return;
    if (waits) this.focusNext();
    else for (const question of open) this.announce(`The agent asks: ${textOf(question)}`);
  }

  focusNext() {
    this.place.querySelector("form:not([data-answered]) input")?.focus();
  }

  form(question, id) {
    const text = element("input", { type: "text", ariaLabel: "Answer", placeholder: "Your answer", autocomplete: "off", dir: "auto" });
    const asJson = element("input", { type: "checkbox" });
    const give = (answer) => this.take(question, answer, form);
    const buttons = [
      element("button", { text: "Answer" }),
      element("button", { type: "button", text: "Yes", on: { click: () => give(true) } }),
      element("button", { type: "button", text: "No", on: { click: () => give(false) } }),
    ];
    for (const each of [text, ...buttons]) each.setAttribute("aria-describedby", id);
    const form = element("form", {
      className: "question",
      children: [
        element("p", { id, dir: "auto", text: textOf(question) }),
        text,
        element("label", { children: [asJson, " JSON"] }),
        ...buttons,
      ],
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        give(asJson.checked ? JSON.parse(text.value) : text.value);
      } catch {
        text.setCustomValidity("This is not JSON.");
        text.reportValidity();
      }
    });
    form.addEventListener("input", () => text.setCustomValidity(""));
    return form;
  }

  take(question, answer, form) {
    this.answers.set(question, answer);
    form.dataset.answered = "";
    if (this.answers.size < this.questions.length) this.focusNext();
    else this.leave();
    form.querySelectorAll("input, button").forEach((each) => (each.disabled = true));
    if (this.answers.size === this.questions.length) this.answered([...this.answers]);
  }
}

function textOf({ value }) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** Return what a run is sent for answers: in AG-UI's standard form where the questions came in it. */
export function answersToRun(answers) {
  if (answers.every(([{ interruptId }]) => interruptId !== undefined)) {
    const resume = answers.map(([{ interruptId }, payload]) => ({ interruptId, status: "resolved", payload }));
    return { resume, forwardedProps: {} };
  }
  const [[{ value }, answer]] = answers;
  return { forwardedProps: { command: { resume: answer, interruptEvent: value } } };
}
