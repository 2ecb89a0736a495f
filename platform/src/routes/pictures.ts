import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Context } from '../context.ts';
import { row } from '../database/connect.ts';
import { notFound } from '../http/errors.ts';
import { Id } from './schemas.ts';

/** Faces as pictures of 112×112 pixels. */
export const pictures: FastifyPluginAsyncTypebox<Context> = async (app, { sql }) => {
  for (const [path, table, summary] of [
    ['/faces/:id/picture', 'video_face_detections', 'A face of a video that was kept'],
    ['/references/:id/picture', 'creator_references', 'A reference of somebody'],
  ] as const) {
    app.get(path, { schema: { params: Id, summary } }, async (request, reply) => {
      const found = await row<{ picture: Uint8Array | null }>(
        sql`SELECT picture FROM ${sql(table)} WHERE id = ${request.params.id}`,
      );
      if (!found?.picture) throw notFound('picture');
      // Not kept by browsers: it may be deleted.
      return reply
        .type('image/jpeg')
        .header('cache-control', 'no-store')
        .send(Buffer.from(found.picture));
    });
  }
};
