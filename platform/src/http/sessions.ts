import cookie from '@fastify/cookie';
import session from '@fastify/session';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Config, randomPassword } from '../config.ts';
import { type Database, row } from '../database/connect.ts';
import { ApiError } from './errors.ts';
import { DatabaseSessions, SESSION_DAYS } from './session_store.ts';

declare module 'fastify' {
  interface Session {
    user_id?: number;
  }
  interface FastifyContextConfig {
    /** Answered without a session. */
    open?: boolean;
  }
}

/** Session cookies; whatever is not marked `open` wants one. */
export async function requireSessions(app: FastifyInstance, sql: Database): Promise<void> {
  const { session_secret: secret } = (await row<{ session_secret: string }>(
    sql`SELECT session_secret FROM installation`,
  ))!;
  await app.register(cookie);
  await app.register(session, {
    secret,
    cookieName: 'session',
    store: new DatabaseSessions(sql),
    saveUninitialized: false,
    rolling: false,
    // Other sites cannot make this browser send it with a POST (over plain HTTP it becomes Lax).
    cookie: {
      httpOnly: true,
      sameSite: 'strict',
      secure: 'auto',
      maxAge: SESSION_DAYS * 86_400_000,
    },
  });
  app.addHook('onRequest', async (request) => {
    const { open } = request.routeOptions.config;
    if (open || request.is404 || request.session.user_id !== undefined) return;
    throw new ApiError(401, 'unauthorized', 'Log in first: POST /api/login');
  });
}

/** Who asks, behind `requireSessions`. */
export const userOf = (request: FastifyRequest): number => request.session.user_id!;

/** The user of the settings. Without a password in them, one is made for the very first. */
export async function createFirstUser(sql: Database, config: Config): Promise<string | undefined> {
  const password = config.PLATFORM_PASSWORD ?? randomPassword();
  const hash = await Bun.password.hash(password);
  if (config.PLATFORM_PASSWORD) {
    await sql`
      INSERT INTO users (name, password_hash) VALUES (${config.PLATFORM_USER}, ${hash})
      ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash`;
    return undefined;
  }
  const made = await row(sql`
    INSERT INTO users (name, password_hash)
    SELECT ${config.PLATFORM_USER}::text, ${hash}::text WHERE NOT EXISTS (SELECT FROM users)
    ON CONFLICT DO NOTHING RETURNING id`);
  return made ? password : undefined;
}
