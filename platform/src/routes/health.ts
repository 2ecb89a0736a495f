import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Context } from '../context.ts';

export const health: FastifyPluginAsyncTypebox<Context> = async (app, { sql }) => {
  app.get(
    '/health',
    {
      schema: {
        response: { 200: Type.Object({ status: Type.String() }) },
        summary: 'Whether it runs, and reaches its database',
      },
      config: { open: true },
    },
    async () => {
      await sql`SELECT 1`;
      return { status: 'healthy' };
    },
  );
};
