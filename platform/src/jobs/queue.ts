import { randomUUID } from 'node:crypto';
import { type Database, type Queries, row, rows } from '../database/connect.ts';

export type Kind = 'analyse' | 'enrol' | 'decide' | 'reembed' | 'vacuum';

export interface Job {
  id: number;
  kind: Kind;
  subject: number;
  attempts: number;
  /** Of this run. What a run writes, it writes while this is still the job's. */
  lease: string;
}

/** A job that another backend has taken over, or that was deleted with its subject. */
export class LeaseLost extends Error {}

/**
 * Puts a job into the queue, unless the same one waits there already. That one stays there until the
 * transaction ends: begun before, it would not see what it is to be done for. One that failed is gone.
 */
export async function enqueue(sql: Queries, kind: Kind, subject = 0): Promise<void> {
  await sql`
    DELETE FROM jobs WHERE kind = ${kind} AND subject = ${subject} AND state = 'failed'`;
  const waiting = await row(sql`
    SELECT id FROM jobs WHERE kind = ${kind} AND subject = ${subject} AND state = 'queued'
    LIMIT 1 FOR SHARE`);
  if (!waiting) await sql`INSERT INTO jobs (kind, subject) VALUES (${kind}, ${subject})`;
}

/** Jobs in PostgreSQL, each run by one backend at a time for as long as it renews its lease. */
export class Queue {
  constructor(
    private readonly sql: Database,
    private readonly leaseSeconds: number,
  ) {}

  /** The oldest job that is due, or whose backend has not renewed its lease in time. */
  async claim(): Promise<Job | undefined> {
    const lease = randomUUID();
    return row<Job>(this.sql`
      UPDATE jobs SET state = 'running', lease = ${lease}, attempts = attempts + 1,
        lease_until = now() + make_interval(secs => ${this.leaseSeconds})
      WHERE id = (
        SELECT id FROM jobs
        WHERE (state = 'queued' AND run_after <= now()) OR (state = 'running' AND lease_until < now())
        ORDER BY run_after, id
        LIMIT 1 FOR UPDATE SKIP LOCKED)
      RETURNING id, kind, subject, attempts, lease`);
  }

  /** Whether the job is still this run's. */
  async holds(job: Job): Promise<boolean> {
    return !!(await row(
      this.sql`SELECT id FROM jobs WHERE id = ${job.id} AND lease = ${job.lease}`,
    ));
  }

  async renew(job: Job): Promise<void> {
    const kept = await rows(this.sql`
      UPDATE jobs SET lease_until = now() + make_interval(secs => ${this.leaseSeconds})
      WHERE id = ${job.id} AND lease = ${job.lease} RETURNING id`);
    if (kept.length === 0) throw new LeaseLost();
  }

  /** A transaction of a job: it happens while the job is this run's, or not at all. */
  async write<T>(job: Job, work: (sql: Queries) => Promise<T>): Promise<T> {
    return (await this.sql.begin(async (sql) => {
      const [held] = await sql`
        SELECT id FROM jobs WHERE id = ${job.id} AND lease = ${job.lease} FOR UPDATE`;
      if (!held) throw new LeaseLost();
      return work(sql);
    })) as T;
  }

  async progress(job: Job, done: number, total: number): Promise<void> {
    await this.sql`
      UPDATE jobs SET done = ${done}, total = ${total} WHERE id = ${job.id} AND lease = ${job.lease}`;
  }

  async finish(job: Job): Promise<void> {
    await this.sql`DELETE FROM jobs WHERE id = ${job.id} AND lease = ${job.lease}`;
  }

  async fail(job: Job, error: string): Promise<void> {
    await this.sql`
      UPDATE jobs SET state = 'failed', error = ${error}, lease = NULL
      WHERE id = ${job.id} AND lease = ${job.lease}`;
  }

  /** Back into the queue, to go on where it stopped. `counts`: as a failed attempt. */
  async release(
    job: Job,
    pauseSeconds: number,
    error: string | null,
    counts: boolean,
  ): Promise<void> {
    await this.sql`
      UPDATE jobs SET state = 'queued', error = ${error}, lease = NULL,
        attempts = attempts - ${counts ? 0 : 1},
        run_after = now() + make_interval(secs => ${pauseSeconds})
      WHERE id = ${job.id} AND lease = ${job.lease}`;
  }
}
