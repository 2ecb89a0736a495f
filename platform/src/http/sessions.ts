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
    refuseOtherSites(request);
    const { open } = request.routeOptions.config;
    if (open || request.is404 || request.session.user_id !== undefined) return;
    throw new ApiError(401, 'unauthorized', 'Log in first: POST /api/login');
  });
}

/**
 * A page of another port or subdomain of this host counts as the same site: cookies go with what it
 * asks for. Browsers say where a request comes from; other callers say nothing.
 */
function refuseOtherSites({ method, headers }: FastifyRequest): void {
  const site = headers['sec-fetch-site'] ?? 'none';
  if (method === 'GET' || method === 'HEAD' || site === 'same-origin' || site === 'none') return;
  throw new ApiError(403, 'forbidden', 'Pages of other sites may not ask for this');
}

/** Who asks, behind `requireSessions`. */
export const userOf = (request: FastifyRequest): number => request.session.user_id!;

/** The user of the settings. Without a password in them, one is made for the very first. */
export async function createFirstUser(sql: Database, config: Config): Promise<string | undefined> {
  if (config.PLATFORM_PASSWORD) {
    await setPassword(sql, config.PLATFORM_USER, config.PLATFORM_PASSWORD);
    return undefined;
  }
  const password = randomPassword();
  const hash = await Bun.password.hash(password);
  const made = await row(sql`
    INSERT INTO users (name, password_hash)
    SELECT ${config.PLATFORM_USER}::text, ${hash}::text WHERE NOT EXISTS (SELECT FROM users)
    ON CONFLICT DO NOTHING RETURNING id`);
  return made ? password : undefined;
}

/** Where it is another one than before, sessions that were begun with the former end. */
async function setPassword(sql: Database, name: string, password: string): Promise<void> {
  const user = await row<{ password_hash: string }>(
    sql`SELECT password_hash FROM users WHERE name = ${name}`,
  );
  if (user && (await Bun.password.verify(password, user.password_hash))) return;
  const hash = await Bun.password.hash(password);
  await sql.begin(async (tx) => {
    const { id } = (await row<{ id: number }>(tx`
      INSERT INTO users (name, password_hash) VALUES (${name}, ${hash})
      ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash RETURNING id`))!;
    await tx`DELETE FROM sessions WHERE data ->> 'user_id' = ${String(id)}`;
  });
}
