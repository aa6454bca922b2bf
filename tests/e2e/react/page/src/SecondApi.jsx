import { useState } from "react";
import {
  CopilotChat,
  CopilotKitProvider,
  useAgent,
  useConfigureSuggestions,
  useFrontendTool,
  useHumanInTheLoop,
  useInterrupt,
  useThreads,
} from "@copilotkit/react-core/v2";
import { z } from "zod";

import "@copilotkit/react-core/v2/styles.css";
import { Choice } from "./Choice.jsx";
import { Count } from "./Count.jsx";
import { SUGGESTIONS } from "./suggestions.js";

/** The page by the second API: `CopilotKitProvider` and its hooks. */
export function SecondApi({ settings: { runtimeUrl, agent, threadId, useSingleEndpoint, suggestions } }) {
  return (
    <CopilotKitProvider {...{ runtimeUrl, useSingleEndpoint }} showDevConsole={false}>
      <Page agentId={agent} threadId={threadId} suggests={suggestions} />
    </CopilotKitProvider>
  );
}

function Page({ agentId, threadId, suggests }) {
  const [background, setBackground] = useState("white");
  useFrontendTool({
    name: "changeBackground",
    description: "Changes the background colour of the page.",
    parameters: z.object({ color: z.string() }),
    handler: async ({ color }) => {
      setBackground(color);
      return `The background is now ${color}.`;
    },
  });
  useHumanInTheLoop({
    name: "approve",
    description: "Has the person approve something.",
    parameters: z.object({ what: z.string() }),
    render: ({ args, status, respond }) =>
      status === "executing" ? <Choice question={args.what} answers={["yes", "no"]} choose={respond} /> : <></>,
  });
  useInterrupt({
    agentId,
    render: ({ event, resolve }) => <Choice question={event.value} answers={["red", "blue"]} choose={resolve} />,
  });
  useConfigureSuggestions(suggests ? { ...SUGGESTIONS, available: "always" } : null);
  const { agent } = useAgent({ agentId });
  return (
    <main data-background={background} data-running={agent.isRunning}>
      <Count state={agent.state} setState={(state) => agent.setState(state)} />
      <Threads agentId={agentId ?? "default"} />
      <CopilotChat agentId={agentId} threadId={threadId} attachments={{ enabled: true, accept: "image/*" }} />
    </main>
  );
}

function Threads({ agentId }) {
  const { threads, refetchThreads, renameThread, archiveThread, deleteThread } = useThreads({ agentId });
  return (
    <div data-testid="threads">
      <button onClick={refetchThreads}>Refresh</button>
      {threads.map(({ id, name }) => (
        <div key={id} data-thread={id}>
          <span>{name}</span>
          <button onClick={() => renameThread(id, "A better name")}>Rename</button>
          <button onClick={() => archiveThread(id)}>Archive</button>
          <button onClick={() => deleteThread(id)}>Delete</button>
        </div>
      ))}
    </div>
  );
}
