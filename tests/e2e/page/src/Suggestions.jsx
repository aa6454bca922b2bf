import { useCopilotChatSuggestions } from "@copilotkit/react-ui";

/** Asks the runtime for things worth asking. */
export function Suggestions() {
  useCopilotChatSuggestions({
    instructions: "Suggest what to ask the agent next.",
    minSuggestions: 1,
    maxSuggestions: 2,
  });
  return null;
}
