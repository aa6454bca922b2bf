import { useState } from "react";
import { CopilotTask, useCopilotContext } from "@copilotkit/react-core";
import { CopilotTextarea } from "@copilotkit/react-textarea";

import "@copilotkit/react-textarea/styles.css";

const PURPOSE = { textareaPurpose: "The body of a letter.", chatApiConfigs: {} };
const TASK = new CopilotTask({ instructions: "Paint the page teal." });

/** What a model does besides the chat: it helps to write a letter, and does a task. */
export default function Desk() {
  const [letter, setLetter] = useState("");
  return (
    <div className="desk" data-testid="desk" data-letter={letter}>
      <CopilotTextarea
        className="letter"
        placeholder="Dear ..."
        value={letter}
        onValueChange={setLetter}
        autosuggestionsConfig={PURPOSE}
      />
      <Task />
    </div>
  );
}

function Task() {
  const context = useCopilotContext();
  const [state, setState] = useState("to do");
  const run = async () => {
    setState("doing");
    await TASK.run(context);
    setState("done");
  };
  return (
    <button data-testid="task" data-state={state} onClick={run}>
      Paint the page
    </button>
  );
}
