import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import type { Context } from '../context.ts';
import { row } from '../database/connect.ts';
import { notFound } from '../http/errors.ts';
import { Id } from './schemas.ts';

type Picture = { picture: Uint8Array | null };

/** Faces as pictures of 112×112 pixels. */
export const pictures: FastifyPluginAsyncTypebox<Context> = async (app, { sql }) => {
  app.get(
    '/faces/:id/picture',
    { schema: { params: Id, summary: 'A face of a video that was kept' } },
    async (request, reply) =>
      send(
        reply,
        await row<Picture>(
          sql`SELECT picture FROM video_face_detections WHERE id = ${request.params.id}`,
        ),
      ),
  );

  app.get(
    '/references/:id/picture',
    { schema: { params: Id, summary: 'A reference of somebody' } },
    async (request, reply) =>
      send(
        reply,
        await row<Picture>(
          sql`SELECT picture FROM creator_references WHERE id = ${request.params.id}`,
        ),
      ),
  );
};

function send(reply: FastifyReply, found: Picture | undefined) {
  if (!found?.picture) throw notFound('picture');
  // Not kept by browsers: it may be deleted.
  return reply
    .type('image/jpeg')
    .header('cache-control', 'no-store')
    .send(Buffer.from(found.picture));
}
