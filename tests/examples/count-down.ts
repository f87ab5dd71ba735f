/** Shows the seconds until the next attempt is evaluated, at once and whenever they change; 0 opens the form. @returns how to stop it */
export function countDown(refusal: { retryAfterSeconds: number }, show: (seconds: number) => void): () => void {
  const [monotonic, wall] = [performance.now(), Date.now()];
  let shown: number | undefined;
  const tick = () => {
    const elapsed = Math.max(performance.now() - monotonic, Date.now() - wall);
    const seconds = Math.max(0, Math.ceil(refusal.retryAfterSeconds - elapsed / 1000));
    if (seconds !== shown) show(seconds);
    shown = seconds;
    if (seconds === 0) clearInterval(timer);
  };
  const timer = setInterval(tick, 200);
  tick();
  return () => clearInterval(timer);
}
