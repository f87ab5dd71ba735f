/** Shows the seconds until the next attempt, immediately and at each change. 0 enables the form. @returns a function that stops it */
export function countDown(error: { retryAfterSeconds: number }, show: (seconds: number) => void): () => void {
  const [monotonic, wall] = [performance.now(), Date.now()];
  let shown: number | undefined;
  const tick = () => {
    const elapsed = Math.max(performance.now() - monotonic, Date.now() - wall);
    const seconds = Math.max(0, Math.ceil(error.retryAfterSeconds - elapsed / 1000));
    if (seconds !== shown) show(seconds);
    shown = seconds;
    if (seconds === 0) clearInterval(timer);
  };
  const timer = setInterval(tick, 200);
  tick();
  return () => clearInterval(timer);
}
