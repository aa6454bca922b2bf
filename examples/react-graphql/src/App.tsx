import { useState } from "react";
import { CopilotKit, useCoAgent, useCopilotAction } from "@copilotkit/react-core";
import { CopilotChat } from "@copilotkit/react-ui";
import "@copilotkit/react-ui/styles.css";

const RUNTIME_URL = import.meta.env.VITE_RUNTIME_URL ?? "http://127.0.0.1:8000/api/copilotkit";
const AGENT = import.meta.env.VITE_AGENT ?? "planner";

export default function App() {
  return (
    <CopilotKit runtimeUrl={RUNTIME_URL} agent={AGENT}>
      <Page />
    </CopilotKit>
  );
}

function Page() {
  const [background, setBackground] = useState("white");
  const { state } = useCoAgent<{ turns?: number }>({ name: AGENT });
  useCopilotAction({
    name: "changeBackground",
    description: "Changes the background colour of the page.",
    parameters: [{ name: "color", type: "string", description: "Any CSS colour.", required: true }],
    handler: ({ color }) => {
      setBackground(color);
      return `The background is now ${color}.`;
    },
  });
  return (
    <main style={{ background, height: "100vh" }}>
      {state?.turns !== undefined && <p>The agent counts {state.turns} turns.</p>}
      <CopilotChat labels={{ initial: "What can I do for you?" }} />
    </main>
  );
}
