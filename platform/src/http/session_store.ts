import type { SessionStore } from '@fastify/session';
import type { Session } from 'fastify';
import { type Database, row } from '../database/connect.ts';

export const SESSION_DAYS = 14;

/** Sessions in PostgreSQL: they outlive the backend. */
export class DatabaseSessions implements SessionStore {
  constructor(private readonly sql: Database) {}

  set(id: string, session: Session, done: (error?: unknown) => void): void {
    const expires = new Date(Date.now() + SESSION_DAYS * 86_400_000);
    this.sql`
      INSERT INTO sessions (id, data, expires_at) VALUES (${id}, ${session}, ${expires})
      ON CONFLICT (id) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at`.then(
      () => done(),
      done,
    );
  }

  get(id: string, done: (error: unknown, session?: Session | null) => void): void {
    row<{ data: Session }>(
      this.sql`SELECT data FROM sessions WHERE id = ${id} AND expires_at > now()`,
    ).then((found) => done(null, found?.data ?? null), done);
  }

  destroy(id: string, done: (error?: unknown) => void): void {
    this.sql`DELETE FROM sessions WHERE id = ${id} OR expires_at < now()`.then(() => done(), done);
  }
}
