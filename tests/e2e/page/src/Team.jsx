import { useCoAgent, useCopilotContext } from "@copilotkit/react-core";

/** The agents that share the conversation, what each of them knows, and which of them has it; any may be given it. */
export function Team({ agents }) {
  const { agentSession } = useCopilotContext();
  return (
    <ul className="team" data-testid="team" data-speaker={agentSession?.agentName ?? ""}>
      {agents.map((agent) => (
        <Member key={agent} agent={agent} />
      ))}
    </ul>
  );
}

function Member({ agent }) {
  const { state, running, start } = useCoAgent({ name: agent });
  return (
    <li data-testid={agent} data-running={running}>
      <code>{agent}</code> <span data-testid="known">{state?.known ?? "nothing yet"}</span>
      <button onClick={start}>Talk to {agent}</button>
    </li>
  );
}
