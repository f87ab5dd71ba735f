/** Compares the time of two actions in alternation, so other load affects both. */

export interface Comparison {
  /** milliseconds */
  medians: readonly [number, number];
  /** second minus first, in milliseconds and as a share of the first */
  difference: number;
  share: number;
  /** the Mann-Whitney statistic as a normal deviate: above ±1.96 in 5 % of equal comparisons */
  z: number;
}

/**
 * Runs both actions in random order, `count` times after some warm-up runs.
 * @param between runs after each action without being measured
 */
export async function compare(
  pairs: number,
  first: () => Promise<unknown>,
  second: () => Promise<unknown>,
  between: () => Promise<unknown>,
): Promise<Comparison> {
  const uncounted = Math.min(5, pairs);
  const times: [number[], number[]] = [[], []];
  for (let nth = 0; nth < pairs + uncounted; nth += 1) {
    const order = nth % 2 === 0 ? [0, 1] : [1, 0];
    for (const which of order) {
      const start = performance.now();
      await (which === 0 ? first : second)();
      if (nth >= uncounted) times[which]!.push(performance.now() - start);
      await between();
    }
  }
  const medians = [median(times[0]), median(times[1])] as const;
  const difference = medians[1] - medians[0];
  return { medians, difference, share: difference / medians[0], z: mannWhitney(times[0], times[1]) };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Positive if the second is slower. Times of a fine clock are never equal. */
function mannWhitney(first: readonly number[], second: readonly number[]): number {
  const all = [...first.map((time) => ({ time, own: 0 })), ...second.map((time) => ({ time, own: 1 }))];
  all.sort((a, b) => a.time - b.time);
  const rankSum = all.reduce((sum, { own }, index) => sum + own * (index + 1), 0);
  const [m, n] = [first.length, second.length];
  const u = rankSum - (n * (n + 1)) / 2;
  return (u - (m * n) / 2) / Math.sqrt((m * n * (m + n + 1)) / 12);
}
