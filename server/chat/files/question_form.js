import { element } from "./elements.js";

/** Asks the person what a run wants to know, and hands their answers over once all are given. */
export class QuestionForm {
  constructor(place, answered) {
    this.place = place;
    this.answered = answered;
    this.questions = [];
  }

  /** Show the questions that are open now. */
  update(open) {
    if (open === this.questions || (open.length === 0 && this.questions.length === 0)) return;
    this.questions = open;
    this.answers = new Map();
    this.place.replaceChildren(...open.map((question) => this.form(question)));
    this.place.querySelector("input")?.focus();
  }

  form(question) {
    const text = element("input", { type: "text", ariaLabel: "Answer", placeholder: "Your answer", autocomplete: "off" });
    const asJson = element("input", { type: "checkbox" });
    const give = (answer) => this.take(question, answer, form);
    const form = element("form", {
      className: "question",
      children: [
        element("p", { text: typeof question.value === "string" ? question.value : JSON.stringify(question.value, null, 2) }),
        text,
        element("label", { children: [asJson, " JSON"] }),
        element("button", { text: "Answer" }),
        element("button", { type: "button", text: "Yes", on: { click: () => give(true) } }),
        element("button", { type: "button", text: "No", on: { click: () => give(false) } }),
      ],
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      text.setCustomValidity("");
      try {
        give(asJson.checked ? JSON.parse(text.value) : text.value);
      } catch {
        text.setCustomValidity("This is not JSON.");
        text.reportValidity();
      }
    });
    return form;
  }

  take(question, answer, form) {
    this.answers.set(question, answer);
    form.querySelectorAll("input, button").forEach((each) => (each.disabled = true));
    if (this.answers.size === this.questions.length) this.answered([...this.answers]);
  }
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
