import { join } from 'node:path';
import Postgrator from 'postgrator';
import type { Database } from './connect.ts';

const FOLDER = join(import.meta.dir, '..', '..', 'migrations');
/** Of the advisory lock under which one backend migrates and the others wait. */
const LOCK = 2_007_318;

/** Brings the schema to the newest of `migrations/`. */
export async function migrate(database: Database): Promise<void> {
  const connection = await database.reserve();
  try {
    await connection`SELECT pg_advisory_lock(${LOCK})`;
    const postgrator = new Postgrator({
      migrationPattern: join(FOLDER, '*'),
      driver: 'pg',
      schemaTable: 'schema_version',
      // Several statements in one string are one transaction.
      execQuery: async (query) => ({ rows: (await connection.unsafe(query).simple()) ?? [] }),
    });
    await postgrator.migrate();
  } finally {
    await connection`SELECT pg_advisory_unlock(${LOCK})`;
    connection.release();
  }
}
