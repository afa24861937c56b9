// SPDX-License-Identifier: MIT
// Work that waits its turn: a few at a time, the newest first (what has just come into view is
// what somebody looks at), and none for what has gone out of view.

interface Job {
  run: () => Promise<void>;
  signal: AbortSignal;
}

export class Queue {
  private readonly waiting: Job[] = [];
  private running = 0;

  constructor(private readonly limit: number) {}

  /** Runs `run` when it is its turn, unless `signal` was aborted by then. `run` must not fail. */
  add(signal: AbortSignal, run: () => Promise<void>): void {
    this.waiting.push({ run, signal });
    this.next();
  }

  private next(): void {
    while (this.running < this.limit) {
      const job = this.waiting.pop();
      if (job === undefined) return;
      if (job.signal.aborted) continue;
      this.running++;
      void job.run().catch(() => undefined).then(() => {
        this.running--;
        this.next();
      });
    }
  }
}
