import { useState } from "react";
import {
  CopilotKit,
  CopilotTask,
  useCoAgent,
  useCopilotAction,
  useCopilotChatSuggestions,
  useCopilotContext,
  useLangGraphInterrupt,
} from "@copilotkit/react-core";
import { CopilotChat } from "@copilotkit/react-ui";

import "@copilotkit/react-ui/styles.css";
import { Choice } from "./Choice.jsx";
import { Count } from "./Count.jsx";
import { SUGGESTIONS } from "./suggestions.js";

const CHANGE_BACKGROUND = {
  name: "changeBackground",
  description: "Changes the background colour of the page.",
  parameters: [{ name: "color", type: "string", required: true }],
};

/** The page by the first API: `<CopilotKit>` and its hooks. */
export function FirstApi({ settings: { runtimeUrl, agent, threadId, useSingleEndpoint, suggestions } }) {
  return (
    <CopilotKit {...{ runtimeUrl, agent, threadId, useSingleEndpoint }} showDevConsole={false}>
      <Page agent={agent} suggests={suggestions} />
    </CopilotKit>
  );
}

function Page({ agent, suggests }) {
  const [background, setBackground] = useState("white");
  useCopilotAction({
    ...CHANGE_BACKGROUND,
    handler: ({ color }) => {
      setBackground(color);
      return `The background is now ${color}.`;
    },
  });
  useCopilotAction({
    name: "approve",
    description: "Has the person approve something.",
    parameters: [{ name: "what", type: "string", required: true }],
    renderAndWaitForResponse: ({ args, status, respond }) =>
      status === "executing" ? <Choice question={args.what} answers={["yes", "no"]} choose={respond} /> : <></>,
  });
  useLangGraphInterrupt({
    render: ({ event, resolve }) => <Choice question={event.value} answers={["red", "blue"]} choose={resolve} />,
  });
  const { state, setState, running } = useCoAgent({ name: agent ?? "default" });
  return (
    <main data-background={background} data-running={running}>
      <Count state={state} setState={setState} />
      <Task paint={setBackground} />
      {suggests && <Suggestions />}
      <CopilotChat RenderSuggestionsList={SuggestionButtons} imageUploadsEnabled />
    </main>
  );
}

function Suggestions() {
  useCopilotChatSuggestions({ ...SUGGESTIONS, available: "enabled" });
  return null;
}

// The client's own buttons connect to the thread when they appear, which makes them disappear and appear without end.
function SuggestionButtons({ suggestions, onSuggestionClick }) {
  return suggestions.map(({ title, message, isLoading }, index) => (
    <button
      key={index}
      data-testid="copilot-suggestion"
      disabled={isLoading}
      onClick={() => onSuggestionClick(message)}
    >
      {title}
    </button>
  ));
}

// A task has to bring its actions: the page's have not been in the context since 1.50.
function Task({ paint }) {
  const context = useCopilotContext();
  const [state, setState] = useState("to do");
  const run = async () => {
    const action = { ...CHANGE_BACKGROUND, handler: async ({ color }) => paint(color) };
    await new CopilotTask({ instructions: "Please paint the page.", actions: [action] }).run(context);
    setState("done");
  };
  return (
    <button data-testid="task" data-state={state} onClick={run}>
      Paint the page
    </button>
  );
}
