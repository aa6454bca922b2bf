import { useCopilotAction } from "@copilotkit/react-core";

/** Lets the agent paint the page: registers the frontend action `changeBackground(color)`. */
export function useBackgroundAction(setBackground) {
  useCopilotAction({
    name: "changeBackground",
    description: "Changes the background colour of the page.",
    parameters: [{ name: "color", type: "string", description: "Any CSS colour.", required: true }],
    handler: ({ color }) => {
      setBackground(color);
      return `The background is now ${color}.`;
    },
    render: ({ status, args }) => <BackgroundChange status={status} color={args.color} />,
  });
}

function BackgroundChange({ status, color }) {
  return (
    <div className="chip" data-testid="action" data-status={status}>
      <span className="swatch" style={{ background: color }} />
      <code>changeBackground</code>
      <span>{color}</span>
    </div>
  );
}
