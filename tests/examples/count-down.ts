/** Shows the seconds until the next attempt is evaluated, at once and whenever they change; 0 opens the form. @returns how to stop it */
export function countDown(refusal: { retryAfterSeconds: number }, show: (seconds: number) => void): () => void {
  const opensAt = performance.now() + refusal.retryAfterSeconds * 1000;
  let shown: number | undefined;
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((opensAt - performance.now()) / 1000));
    if (seconds !== shown) show(seconds);
    shown = seconds;
    if (seconds === 0) clearInterval(timer);
  };
  const timer = setInterval(tick, 200);
  tick();
  return () => clearInterval(timer);
}
