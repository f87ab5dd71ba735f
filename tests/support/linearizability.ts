/**
 * Whether a history of operations that overlapped can be explained by the same operations done one after another: by the search of Wing and Gong, with Lowe's memory of
 * what has been tried. @see https://doi.org/10.1002/cpe.3928
 */

/** One operation of a client: when it was asked for, when it was answered, in milliseconds, and what only the model understands. */
export interface Operation {
  askedAt: number;
  answeredAt: number;
}

/** What an operation may do next. An operation whose rules have several steps does them one by one, and others may come between. */
export interface Step<State> {
  state: State;
  /** the steps that it has done with this one; null where it was the last */
  done: number | null;
}

/** Far beyond what a history with an explanation takes: one without may have more orders than there is time for. */
const maxTried = 50_000;

/**
 * Looks for an order in which every operation takes effect between its question and its answer and has answered as the model says.
 * @param steps what the operation may do in that state, with so many of its steps done, and be answered as it was; nothing where it cannot be
 * @returns the operations in such an order, by their last steps; null where none is found
 */
export function explain<Op extends Operation, State>(
  history: readonly Op[],
  initial: State,
  steps: (state: State, operation: Op, done: number) => Step<State>[],
): Op[] | null {
  const tried = new Set<string>();
  const order: Op[] = [];
  /** how many steps each has done; null where all */
  const progress: (number | null)[] = history.map(() => 0);

  function search(state: State): boolean {
    const position = JSON.stringify([progress, state]);
    if (tried.has(position) || tried.size === maxTried) return false;
    tried.add(position);
    const left = history.filter((_, index) => progress[index] !== null);
    if (left.length === 0) return true;
    // Whoever was asked for after somebody had been answered comes after that one.
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
