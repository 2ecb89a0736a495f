import rateLimit from '@fastify/rate-limit';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Context } from '../context.ts';
import { row } from '../database/connect.ts';
import { ApiError } from '../http/errors.ts';
import { userOf } from '../http/sessions.ts';
import { Login, User } from './schemas.ts';

/** Hashed where there is no such user, so that an answer takes as long. */
const NOBODY = await Bun.password.hash('nobody');

export const login: FastifyPluginAsyncTypebox<Context> = async (app, { sql }) => {
  await app.register(rateLimit, { global: false });

  app.post(
    '/login',
    {
      schema: { body: Login, response: { 200: User }, summary: 'Begin a session' },
      config: { open: true, rateLimit: { max: 10, timeWindow: '1 minute' } },
    },
    async (request) => {
      const { name, password } = request.body;
      const user = await row<{ id: number; password_hash: string }>(
        sql`SELECT id, password_hash FROM users WHERE name = ${name}`,
      );
      const right = await Bun.password.verify(password, user?.password_hash ?? NOBODY);
      if (!user || !right) throw new ApiError(401, 'unauthorized', 'Wrong name or password');
      await request.session.regenerate();
      request.session.user_id = user.id;
      return { name };
    },
  );

  app.post(
    '/logout',
    { schema: { response: { 204: Type.Null() }, summary: 'End the session' } },
    async (request, reply) => {
      await request.session.destroy();
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/session',
    { schema: { response: { 200: User }, summary: 'Who is logged in' } },
    async (request) =>
      (await row<{ name: string }>(sql`SELECT name FROM users WHERE id = ${userOf(request)}`))!,
  );
};
