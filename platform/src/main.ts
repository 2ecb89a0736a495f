import { mkdir } from 'node:fs/promises';
import { createApp } from './app.ts';
import { readConfig } from './config.ts';
import { connect, isAway, row, rows } from './database/connect.ts';
import { migrate } from './database/migrate.ts';
import { createFirstUser } from './http/sessions.ts';
import { Uploads } from './http/uploads.ts';
import { analyse } from './jobs/analyse.ts';
import { decideAgain } from './jobs/decisions.ts';
import { enrol } from './jobs/enrol.ts';
import { Queue } from './jobs/queue.ts';
import { reembed } from './jobs/reembed.ts';
import { vacuum } from './jobs/vacuum.ts';
import { Worker } from './jobs/worker.ts';
import { FaceServices, isTemporary } from './recognition/services.ts';

const config = readConfig(process.env);
const sql = connect(config.DATABASE_URL);
await migrate(sql);
await mkdir(config.DATA_DIR, { recursive: true });
const installation = (await row<{ id: string }>(sql`SELECT id FROM installation`))!;
const context = {
  config,
  sql,
  queue: new Queue(sql, config.LEASE_S),
  services: new FaceServices(config.FACE_SERVICE_URL, config.FACE_SERVICE_KEY),
  uploads: new Uploads(config.DATA_DIR, installation.id),
};
const files = await rows<{ file: string }>(
  sql`SELECT file FROM videos UNION SELECT file FROM photos`,
);
await context.uploads.sweep(new Set(files.map(({ file }) => file)));
const app = await createApp(context);
const password = await createFirstUser(sql, config);
if (password) app.log.info(`First user ${config.PLATFORM_USER}, password ${password}`);

const handlers = {
  analyse: analyse(context),
  enrol: enrol(context),
  decide: decideAgain(context),
  reembed: reembed(context),
  vacuum: vacuum(context),
};
const goesAway = (error: unknown) => isAway(error) || isTemporary(error);
const worker = new Worker(context.queue, handlers, goesAway, config.LEASE_S, app.log);
worker.start(config.JOBS);
app.addHook('onResponse', async ({ method }) => {
  if (method !== 'GET') worker.wake(); // an upload or a decision has put a job into the queue
});
await app.listen({ host: config.HOST, port: config.PORT });

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, async () => {
    await worker.stop();
    await app.close();
    await sql.end();
    process.exit(0);
  });
}
