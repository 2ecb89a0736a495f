import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { JobFailed } from '../errors.ts';
import { type Job, type Kind, LeaseLost, type Queue } from './queue.ts';

/** Does a job; `signal` ends it when the backend stops or the lease is lost. */
export type Handler = (job: Job, signal: AbortSignal) => Promise<void>;

/** Attempts at a job that fails for an unknown reason. */
const ATTEMPTS = 5;

/** Takes jobs from the queue and runs them, until it is stopped. */
export class Worker {
  private readonly stopping = new AbortController();
  private readonly loops: Promise<void>[] = [];
  /** Ends the pauses of loops that have found nothing to do. */
  private readonly idle = new Set<() => void>();

  constructor(
    private readonly queue: Queue,
    private readonly handlers: Record<Kind, Handler>,
    private readonly isTemporary: (error: unknown) => boolean,
    private readonly leaseSeconds: number,
    private readonly log: FastifyBaseLogger,
    private readonly pauseMs = 500,
  ) {}

  start(jobs: number): void {
    for (let n = 0; n < jobs; n++) this.loops.push(this.loop());
  }

  /** There may be a job that is due: loops that pause look at once. */
  wake(): void {
    for (const end of this.idle) end();
  }

  /** Ends what runs; its jobs are back in the queue at once. */
  async stop(): Promise<void> {
    this.stopping.abort(new Error('the backend stops'));
    this.wake();
    await Promise.all(this.loops);
  }

  private async loop(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        const job = await this.queue.claim();
        if (job) await this.run(job);
        else await this.pause();
      } catch (error) {
        if (signal.aborted) return;
        this.log.error(error, 'the queue cannot be read');
        await sleep(1_000, undefined, { signal }).catch(() => {});
      }
    }
  }

  private async pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.pauseMs);
    this.idle.add(resolve);
    await promise;
    this.idle.delete(resolve);
    clearTimeout(timer);
  }

  private async run(job: Job): Promise<void> {
    const lost = new AbortController();
    const signal = AbortSignal.any([this.stopping.signal, lost.signal]);
    const renewal = setInterval(() => {
      // A database that is away for a moment is no lost lease; who has taken over, has changed it.
      this.queue.renew(job).catch((error) => error instanceof LeaseLost && lost.abort(error));
    }, this.leaseSeconds * 250);
    const log = this.log.child({ job: job.id, kind: job.kind, subject: job.subject });
    try {
      // One that fails is counted where it fails; one that ends the process, only here.
      if (job.attempts > 2 * ATTEMPTS)
        throw new JobFailed(`Given up after ${job.attempts} attempts`);
      await this.handlers[job.kind](job, signal);
      await this.queue.finish(job);
      log.info('job done');
    } catch (error) {
      await this.settle(job, error, log);
    } finally {
      clearInterval(renewal);
    }
  }

  private async settle(job: Job, error: unknown, log: FastifyBaseLogger): Promise<void> {
    const message = error instanceof Error ? error.message : String(error);
    if (this.stopping.signal.aborted) return this.queue.release(job, 0, null, false);
    // Whatever has failed in a job that is gone, has failed because of that.
    const held = error instanceof LeaseLost ? false : await this.queue.holds(job).catch(() => true);
    if (!held) return log.warn('job taken over or deleted');
    if (this.isTemporary(error)) {
      log.warn(`job waits: ${message}`);
      return this.queue.release(job, 3, message, false);
    }
    // Of a file that cannot be read, the one who handed it in is told.
    if (error instanceof JobFailed) log.warn(`job failed: ${message}`);
    else log.error(error);
    if (error instanceof JobFailed || job.attempts >= ATTEMPTS)
      return this.queue.fail(job, message);
    return this.queue.release(job, 2 ** job.attempts, message, true);
  }
}
