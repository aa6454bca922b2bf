import { useState } from "react";
import { CopilotChat, CopilotKit, useAgent, useDefaultRenderTool, useFrontendTool } from "@copilotkit/react-core/v2";
import { z } from "zod";
import "@copilotkit/react-core/v2/styles.css";

const RUNTIME_URL = import.meta.env.VITE_RUNTIME_URL ?? "http://127.0.0.1:8000/api/copilotkit";
const AGENT = import.meta.env.VITE_AGENT ?? "planner";

export default function App() {
  return (
    <CopilotKit runtimeUrl={RUNTIME_URL} enableInspector={false}>
      <Page />
    </CopilotKit>
  );
}

function Page() {
  const [background, setBackground] = useState("white");
  const { agent } = useAgent({ agentId: AGENT });
  useDefaultRenderTool();
  useFrontendTool({
    name: "changeBackground",
    description: "Changes the background colour of the page.",
    parameters: z.object({ color: z.string().describe("Any CSS colour.") }),
    handler: async ({ color }) => {
      setBackground(color);
      return `The background is now ${color}.`;
    },
  });
  return (
    <main style={{ background, display: "grid", gridTemplateColumns: "1fr 32rem", height: "100vh" }}>
      <section style={{ padding: "2rem" }}>
        <h1>The agent's state</h1>
        <pre>{JSON.stringify(agent.state, undefined, 2)}</pre>
      </section>
      <CopilotChat agentId={AGENT} labels={{ welcomeMessageText: "What can I do for you?" }} />
    </main>
  );
}
