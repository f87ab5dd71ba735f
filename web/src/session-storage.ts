/** State and countdowns in `sessionStorage`, which survives a reload of the tab. */
import { useCallback, useEffect, useState } from 'react';

export function readStored<T>(key: string): T | null {
  try {
    // Invariant: only `store` writes these keys, so the value has the type that was stored.
    return JSON.parse(sessionStorage.getItem(key) ?? 'null') as T | null;
  } catch {
    return null;
  }
}

export function store(key: string, value: unknown): void {
  if (value === null) sessionStorage.removeItem(key);
  else sessionStorage.setItem(key, JSON.stringify(value));
}

/** `useState` that is stored under the key until the tab is closed. */
export function useSessionStorage<T>(key: string, initial: T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => readStored<T>(key) ?? initial);
  const set = useCallback(
    (next: T) => {
      store(key, next);
      setValue(next);
    },
    [key],
  );
  return [value, set];
}

export interface Countdown {
  /** seconds left; 0 when the countdown is over */
  seconds: number;
  /** Takes a duration and not an instant, because the clock of the device may be wrong. */
  start(seconds: number): void;
}

/** A countdown of that name. It continues after a reload. */
export function useCountdown(name: string): Countdown {
  const key = `countdown ${name}`;
  const [, redraw] = useState(0);
  const until = readStored<number>(key) ?? 0;
  const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
  const running = seconds > 0;
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => redraw((n) => n + 1), 200);
    return () => clearInterval(timer);
  }, [running]);
  const start = useCallback(
    (duration: number) => {
      store(key, Date.now() + duration * 1000);
      redraw((n) => n + 1);
    },
    [key],
  );
  return { seconds, start };
}
