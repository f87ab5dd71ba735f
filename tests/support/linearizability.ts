/**
 * Checks whether a history of overlapping operations is linearizable, by the search of Wing and
 * Gong with Lowe's memoisation. @see https://doi.org/10.1002/cpe.3928
 */

/**
 * An operation of a client with times of request and response in milliseconds, and data for the
 * model.
 */
export interface Operation {
  askedAt: number;
  answeredAt: number;
}

/** A possible next step of an operation. Other operations may run between its steps. */
export interface Step<State> {
  state: State;
  /** the number of completed steps; null after the last step */
  done: number | null;
}

/**
 * Exceeds the search for a valid history. The search for an invalid history may not end in time.
 */
const maxTried = 50_000;

/**
 * Searches an order in which every operation takes effect between request and response, as the
 * model permits.
 * @param steps possible next steps of the operation in the state, consistent with its response
 * @returns the operations in order of their last steps, or null
 */
export function explain<Op extends Operation, State>(
  history: readonly Op[],
  initial: State,
  steps: (state: State, operation: Op, done: number) => Step<State>[],
): Op[] | null {
  const tried = new Set<string>();
  const order: Op[] = [];
  /** completed steps of each operation; null after the last */
  const progress: (number | null)[] = history.map(() => 0);

  function search(state: State): boolean {
    const position = JSON.stringify([progress, state]);
    if (tried.has(position) || tried.size === maxTried) return false;
    tried.add(position);
    const left = history.filter((_, index) => progress[index] !== null);
    if (left.length === 0) return true;
    // An operation requested after another's response comes after it.
    const firstAnswer = Math.min(...left.map(({ answeredAt }) => answeredAt));
    for (const [index, operation] of history.entries()) {
      const before = progress[index]!;
      if (before === null || operation.askedAt > firstAnswer) continue;
      for (const { state: next, done } of steps(state, operation, before)) {
        progress[index] = done;
        if (done === null) order.push(operation);
        if (search(next)) return true;
        if (done === null) order.pop();
      }
      progress[index] = before;
    }
    return false;
  }

  return search(initial) ? order : null;
}
