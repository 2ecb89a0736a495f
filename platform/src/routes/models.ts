import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Context } from '../context.ts';
import { type Queries, row } from '../database/connect.ts';
import { ApiError } from '../http/errors.ts';
import { enqueue } from '../jobs/queue.ts';
import { currentModel, nextModel, otherModel, register } from '../recognition/models.ts';
import { thresholds } from '../recognition/thresholds.ts';
import { Model, Models } from './schemas.ts';

export const models: FastifyPluginAsyncTypebox<Context> = async (
  app,
  { sql, services, config },
) => {
  app.get(
    '/models',
    {
      schema: {
        response: { 200: Models },
        summary: 'The model, its thresholds, and a change under way',
      },
    },
    async () => {
      const [current, next] = [await currentModel(sql), await nextModel(sql)];
      return {
        current: current ?? null,
        next: next ? { ...next, ...(await progress(sql)) } : null,
        thresholds: current ? await thresholds(sql, current, config) : null,
      };
    },
  );

  app.post(
    '/models/change',
    {
      schema: {
        response: { 202: Model },
        summary: 'Embed everything again with the model of another service of FACE_SERVICE_URL',
      },
    },
    async (_request, reply) => {
      const other = await otherModel(sql, services);
      if (!other) {
        throw new ApiError(409, 'no_other_model', 'No face service is ready with another model');
      }
      await register(sql, other, 'next');
      await enqueue(sql, 'reembed');
      return reply.code(202).send(other);
    },
  );
};

async function progress(sql: Queries) {
  const job = await row<{ done: number; total: number | null; error: string | null }>(
    sql`SELECT done, total, error FROM jobs WHERE kind = 'reembed' ORDER BY id LIMIT 1`,
  );
  return job ?? { done: 0, total: null, error: null };
}
