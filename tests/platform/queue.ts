// Two runs of one job: queue.ts, on the database of DATABASE_URL. Prints what the late one was told.
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../platform/src/database/connect.ts';
import { migrate } from '../../platform/src/database/migrate.ts';
import { enqueue, LeaseLost, Queue } from '../../platform/src/jobs/queue.ts';

const sql = connect(process.env.DATABASE_URL!);
await migrate(sql);
const queue = new Queue(sql, 0.2);
await enqueue(sql, 'vacuum', 7);
await enqueue(sql, 'vacuum', 7);
const late = await queue.claim();
const none = await queue.claim();
await sleep(400);
const next = await queue.claim();
const name = (job: typeof late) => queue.write(job!, (tx) => tx`INSERT INTO creators (name) VALUES ('x')`);
const refused = await name(late).then(
  () => false,
  (error) => error instanceof LeaseLost,
);
const before = await sql`SELECT count(*)::integer AS n FROM creators`;
await queue.finish(late!);
await name(next);
await queue.finish(next!);
const after = await sql`SELECT (SELECT count(*) FROM creators)::integer AS n, (SELECT count(*) FROM jobs)::integer AS jobs`;

// Whoever asks for what waits already keeps it waiting until their transaction ends.
await enqueue(sql, 'vacuum', 8);
const during = await sql.begin(async (tx) => {
  await enqueue(tx, 'vacuum', 8);
  return queue.claim();
});
const failed = await queue.claim();
await queue.fail(failed!, 'why');
await enqueue(sql, 'vacuum', 8);
const kept = await sql`SELECT state, error FROM jobs`;
console.log(JSON.stringify({ once: none === undefined, same: late!.id === next!.id, refused, before: before[0].n, after: after[0],
  during: during ?? null, claimed: failed?.subject, kept: [...kept] }));
await sql.end();
