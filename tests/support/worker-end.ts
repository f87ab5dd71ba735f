/** Work that a test process does after its last file. */
const callbacks: (() => Promise<void>)[] = [];

export function atWorkerEnd(callback: () => Promise<void>): void {
  callbacks.push(callback);
}

export async function endWorker(): Promise<void> {
  for (const callback of callbacks) await callback();
}
