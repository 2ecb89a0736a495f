import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Context } from '../context.ts';
import { type Queries, row, rows } from '../database/connect.ts';
import { notFound } from '../http/errors.ts';
import type { Upload } from '../http/uploads.ts';
import { enqueue } from '../jobs/queue.ts';
import { dropEmptyGroups } from '../recognition/groups.ts';
import { lockDecisions } from '../recognition/models.ts';
import { type PersonRow, peopleOf } from './people.ts';
import { Id, NEWEST_FIRST, newest, Page, Video, VideoFaces, VideoWithPeople } from './schemas.ts';

type VideoRow = Type.Static<typeof Video>;

export const videos: FastifyPluginAsyncTypebox<Context> = async (app, { sql, uploads }) => {
  app.post(
    '/videos',
    {
      schema: {
        response: { 202: Type.Array(Id) },
        consumes: ['multipart/form-data'],
        summary: 'Videos and pictures, to be looked through',
      },
    },
    async (request, reply) => {
      const made = await uploads.keep(request, (received) =>
        sql.begin((tx) => addVideos(tx, received)),
      );
      return reply.code(202).send(made);
    },
  );

  app.get(
    '/videos',
    {
      schema: {
        querystring: Page,
        response: { 200: Type.Array(Video) },
        summary: `Videos and pictures, ${NEWEST_FIRST}`,
      },
    },
    async ({ query }) => {
      const { last, limit } = newest(query);
      return list(sql, 1, last, limit);
    },
  );

  app.get(
    '/videos/:id',
    {
      schema: {
        params: Id,
        response: { 200: VideoWithPeople },
        summary: 'How far it is, and who is seen when',
      },
    },
    async (request) => {
      const [video] = await list(sql, request.params.id, request.params.id, 1);
      if (!video) throw notFound('video');
      const people: PersonRow[] = await peopleOf(sql, video.id);
      return { ...video, people };
    },
  );

  app.get(
    '/videos/:id/faces',
    {
      schema: { params: Id, response: { 200: VideoFaces }, summary: 'Every face: where and when' },
    },
    async (request) => {
      const found = await rows<Type.Static<typeof VideoFaces>[number]>(sql`
        SELECT d.id, d.frame_ms, d.bbox, t.appearance_id
        FROM video_face_detections d LEFT JOIN video_tracks t ON t.id = d.track_id
        WHERE d.video_id = ${request.params.id} ORDER BY d.frame_ms, d.id`);
      return found.map((face) => ({ ...face, bbox: [...face.bbox] }));
    },
  );

  app.get(
    '/videos/:id/file',
    { schema: { params: Id, summary: 'The file, by ranges where asked' } },
    async (request, reply) => {
      const video = await row<{ file: string; name: string }>(
        sql`SELECT file, name FROM videos WHERE id = ${request.params.id}`,
      );
      if (!video) throw notFound('video');
      // Never shown as a page of this site, whatever it says it is.
      reply
        .header('content-security-policy', 'sandbox')
        .header('x-content-type-options', 'nosniff');
      return reply.type(Bun.file(video.name).type).sendFile(video.file, { contentType: false });
    },
  );

  app.post(
    '/videos/:id/retry',
    {
      schema: {
        params: Id,
        response: { 202: Type.Null() },
        summary: 'Go on with one that failed, from its last stored frame',
      },
    },
    async (request, reply) => {
      const failed = await row(sql`
        UPDATE jobs SET state = 'queued', attempts = 0, error = NULL, run_after = now()
        WHERE kind = 'analyse' AND subject = ${request.params.id} AND state = 'failed'
        RETURNING id`);
      if (!failed) throw notFound('video that failed');
      return reply.code(202).send(null);
    },
  );

  app.delete(
    '/videos/:id',
    {
      schema: {
        params: Id,
        response: { 204: Type.Null() },
        summary: 'Delete it and all that is known of it',
      },
    },
    async (request, reply) => {
      const file = await sql.begin((tx) => remove(tx, request.params.id));
      if (file === undefined) throw notFound('video');
      await uploads.remove([file]);
      return reply.code(204).send(null);
    },
  );
};

/** Videos, each with a job to look through it. */
async function addVideos(sql: Queries, received: Upload[]): Promise<{ id: number }[]> {
  const videos: { id: number }[] = [];
  for (const { file, name, bytes } of received) {
    const video = (await row<{ id: number }>(sql`
      INSERT INTO videos (file, name, bytes) VALUES (${file}, ${name}, ${bytes}) RETURNING id`))!;
    await enqueue(sql, 'analyse', video.id);
    videos.push(video);
  }
  return videos;
}

/** Those from a first to a last id, newest first. */
function list(sql: Queries, first: number, last: number, limit: number): Promise<VideoRow[]> {
  return rows<VideoRow>(sql`
    SELECT v.id, v.name, v.bytes::float8 AS bytes, v.duration_ms, v.analysed_ms, v.frames,
      v.frames_skipped, v.created_at, j.error,
      CASE
        WHEN v.done_at IS NOT NULL THEN 'done'
        WHEN j.state = 'failed' THEN 'failed'
        WHEN j.state = 'running' THEN 'analysing'
        WHEN j.error IS NOT NULL THEN 'waiting'
        ELSE 'queued'
      END AS state
    FROM videos v LEFT JOIN jobs j ON j.kind = 'analyse' AND j.subject = v.id
    WHERE v.id BETWEEN ${first} AND ${last}
    ORDER BY v.id DESC
    LIMIT ${limit}`);
}

async function remove(sql: Queries, id: number): Promise<string | undefined> {
  // The job first, then the lock: in the order in which the job itself takes them.
  await sql`DELETE FROM jobs WHERE kind = 'analyse' AND subject = ${id}`;
  await lockDecisions(sql);
  const video = await row<{ file: string }>(
    sql`DELETE FROM videos WHERE id = ${id} RETURNING file`,
  );
  if (!video) return undefined;
  await dropEmptyGroups(sql);
  await enqueue(sql, 'vacuum');
  return video.file;
}
