import { useLangGraphInterrupt } from "@copilotkit/react-core";

/** Puts an agent's question (`{question, options}`) to the person, in the chat. */
export function Question() {
  useLangGraphInterrupt({ render: ({ event, resolve }) => <Options {...event.value} choose={resolve} /> });
  return null;
}

function Options({ question, options, choose }) {
  return (
    <div className="chip" data-testid="question">
      <span>{question}</span>
      {options.map((option) => (
        <button key={option} onClick={() => choose(option)}>
          {option}
        </button>
      ))}
    </div>
  );
}
