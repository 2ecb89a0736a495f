import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Context } from '../context.ts';
import { type Queries, row } from '../database/connect.ts';
import { ApiError, notFound } from '../http/errors.ts';
import { enqueue } from '../jobs/queue.ts';
import {
  currentModel,
  lockDecisions,
  nextModel,
  otherModel,
  register,
} from '../recognition/models.ts';
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
      // Asked for again, it is the one under way.
      const next = (await nextModel(sql)) ?? (await otherModel(sql, services));
      if (!next) {
        throw new ApiError(409, 'no_other_model', 'No face service is ready with another model');
      }
      await register(sql, next, 'next');
      await enqueue(sql, 'reembed');
      return reply.code(202).send(next);
    },
  );

  app.delete(
    '/models/change',
    {
      schema: {
        response: { 204: Type.Null() },
        summary: 'Stop a change under way: the model stays, what was embedded with the next goes',
      },
    },
    async (_request, reply) => {
      await sql.begin(async (tx) => {
        // The job first, then the lock: in the order in which the job itself takes them.
        await tx`DELETE FROM jobs WHERE kind = 'reembed'`;
        await lockDecisions(tx);
        const stopped = await row<{ id: number }>(
          tx`UPDATE models SET state = 'retired' WHERE state = 'next' RETURNING id`,
        );
        if (!stopped) throw notFound('change of model');
        await tx`SELECT drop_space(${stopped.id})`;
      });
      return reply.code(204).send(null);
    },
  );
};

async function progress(sql: Queries) {
  const job = await row<{ done: number; total: number | null; error: string | null }>(
    sql`SELECT done, total, error FROM jobs WHERE kind = 'reembed' ORDER BY id LIMIT 1`,
  );
  return job ?? { done: 0, total: null, error: null };
}
