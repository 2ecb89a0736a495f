import type { Config } from './config.ts';
import type { Database } from './database/connect.ts';
import type { Uploads } from './http/uploads.ts';
import type { Queue } from './jobs/queue.ts';
import type { FaceServices } from './recognition/services.ts';

/** What routes and jobs work with. */
export interface Context {
  config: Config;
  sql: Database;
  queue: Queue;
  services: FaceServices;
  uploads: Uploads;
}
