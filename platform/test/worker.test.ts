import { expect, test } from 'bun:test';
import type { FastifyBaseLogger } from 'fastify';
import type { Job, Queue } from '../src/jobs/queue.ts';
import { type Handler, Worker } from '../src/jobs/worker.ts';

const NEVER_MS = 1_000_000_000;
const log = { child: () => log, info: () => {} } as unknown as FastifyBaseLogger;

test('a worker that pauses is woken for a job, and to stop', async () => {
  const jobs: Job[] = [];
  const asked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let times = 0;
  const queue = {
    claim: async () => {
      asked[times++]?.resolve();
      return jobs.shift();
    },
    finish: async () => {},
  } as unknown as Queue;
  const done = Promise.withResolvers<number>();
  const handler: Handler = async (job) => done.resolve(job.subject);
  const handlers = { analyse: handler } as never;
  const worker = new Worker(queue, handlers, () => false, 60, log, NEVER_MS);
  worker.start(1);
  await asked[0]!.promise;
  await Bun.sleep(10); // it pauses now
  jobs.push({ id: 1, kind: 'analyse', subject: 7, attempts: 1, lease: 'a' });
  worker.wake();
  expect(await done.promise).toBe(7);
  await Bun.sleep(10);
  await worker.stop();
});
