/** Puts a question to the person, who has two answers to choose from. */
export function Choice({ question, answers, choose }) {
  return (
    <div data-testid="choice">
      <span>{question}</span>
      {answers.map((answer) => (
        <button key={answer} onClick={() => choose(answer)}>
          {answer}
        </button>
      ))}
    </div>
  );
}
