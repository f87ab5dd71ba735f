/** Durations and counts as the pages show them. */

/** Formats seconds as a clock: 0:09, 2:30, 1:00:00. */
export function formatClock(seconds: number): string {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

const relativeTime = new Intl.RelativeTimeFormat('en');

/** Formats a wait as people say it: "in 5 minutes". Rounds up, so that the wait is over by then. */
export function formatWait(seconds: number): string {
  if (seconds < 60) return relativeTime.format(seconds, 'second');
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 60) return relativeTime.format(minutes, 'minute');
  return relativeTime.format(Math.ceil(seconds / 3600), 'hour');
}

/** Formats a count: "1 session", "2 sessions". */
export function formatCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
