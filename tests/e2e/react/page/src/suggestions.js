/** What the agent is to suggest to the person. */
export const SUGGESTIONS = { instructions: "Suggest what the person may say next.", maxSuggestions: 1 };
