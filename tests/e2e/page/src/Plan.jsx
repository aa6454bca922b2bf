import { useCoAgent, useCoAgentStateRender } from "@copilotkit/react-core";

/** The agent's plan: whole on the page, in short inside the chat. */
export function Plan({ agent }) {
  const { state, running } = useCoAgent({ name: agent, initialState: { plan: [] } });
  useCoAgentStateRender({ name: agent, render: ({ state }) => <Progress plan={state?.plan ?? []} /> }, [agent]);
  const plan = state?.plan ?? [];
  return (
    <div className="plan" data-testid="plan" data-running={running}>
      <h2>
        <span>
          Plan of <code>{agent}</code>
        </span>
        <Progress plan={plan} />
      </h2>
      {plan.length === 0 && <p className="empty">Nothing planned yet.</p>}
      <ol>
        {plan.map((step) => (
          <li key={step.title} data-done={step.done}>
            {step.title}
          </li>
        ))}
      </ol>
    </div>
  );
}

function Progress({ plan }) {
  if (plan.length === 0) return null;
  const done = plan.filter((step) => step.done).length;
  return (
    <span className="progress" data-testid="progress">
      {done} of {plan.length} done
    </span>
  );
}
