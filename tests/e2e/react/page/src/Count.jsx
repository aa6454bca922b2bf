/** The state that page and agent share, and a button by which the person changes it. */
export function Count({ state, setState }) {
  return (
    <button data-testid="count" data-count={state?.count ?? 0} onClick={() => setState({ ...state, count: 10 })}>
      Count on from ten
    </button>
  );
}
