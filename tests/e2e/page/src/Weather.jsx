import { useCopilotAction } from "@copilotkit/react-core";

/** Draws, in the chat, the calls of the server's action `weather`; the page itself does nothing for them. */
export function Weather({ available }) {
  useCopilotAction({
    name: "weather",
    available,
    parameters: [{ name: "place", type: "string", required: true }],
    render: ({ status, args, result }) => (
      <div className="chip" data-testid="weather" data-status={status}>
        <code>{args.place}</code>
        <span>{result}</span>
      </div>
    ),
  });
  return null;
}
