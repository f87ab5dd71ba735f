/** State that survives a reload of this tab, and waits that count down in it. */
import { useCallback, useEffect, useState } from 'react';

export function readKept<T>(key: string): T | null {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? 'null') as T | null;
  } catch {
    return null;
  }
}

export function keep(key: string, value: unknown): void {
  if (value === null) sessionStorage.removeItem(key);
  else sessionStorage.setItem(key, JSON.stringify(value));
}

/** `useState`, kept under the key until this tab is closed. */
export function useKept<T>(key: string, initial: T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => readKept<T>(key) ?? initial);
  const set = useCallback(
    (next: T) => {
      keep(key, next);
      setValue(next);
    },
    [key],
  );
  return [value, set];
}

export interface Wait {
  /** 0 where there is nothing to wait for */
  seconds: number;
  /** Seconds, as the service tells them, and not its clock's instant: the clock of the device may be wrong. */
  start(seconds: number): void;
}

/** A wait of that name. It ends by itself, and goes on after a reload. */
export function useWait(name: string): Wait {
  const key = `wait ${name}`;
  const [, redraw] = useState(0);
  const until = readKept<number>(key) ?? 0;
  const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
  const waiting = seconds > 0;
  useEffect(() => {
    if (!waiting) return;
    const timer = setInterval(() => redraw((n) => n + 1), 200);
    return () => clearInterval(timer);
  }, [waiting]);
  const start = useCallback(
    (wait: number) => {
      keep(key, Date.now() + wait * 1000);
      redraw((n) => n + 1);
    },
    [key],
  );
  return { seconds, start };
}

/** 0:09, 2:30, 1:00:00 */
export function clock(seconds: number): string {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function inWords(seconds: number): string {
  const [amount, unit] =
    seconds < 90
      ? [seconds, 'second']
      : seconds < 5400
        ? [Math.ceil(seconds / 60), 'minute']
        : [Math.ceil(seconds / 3600), 'hour'];
  return `${amount} ${unit}${amount === 1 ? '' : 's'}`;
}
