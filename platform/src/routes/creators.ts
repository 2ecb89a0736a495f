import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Context } from '../context.ts';
import { isTaken, type Queries, row, rows } from '../database/connect.ts';
import { ApiError, notFound } from '../http/errors.ts';
import type { Upload } from '../http/uploads.ts';
import { enqueue } from '../jobs/queue.ts';
import { dropEmptyGroups } from '../recognition/groups.ts';
import { lockDecisions } from '../recognition/models.ts';
import {
  Creator,
  CreatorInFull,
  CreatorPage,
  Id,
  Naming,
  NEWEST_FIRST,
  newest,
  type Photo,
  type Reference,
} from './schemas.ts';

export const creators: FastifyPluginAsyncTypebox<Context> = async (app, { sql, uploads }) => {
  app.post(
    '/creators',
    { schema: { body: Naming, response: { 201: Id }, summary: 'Somebody new' } },
    async (request, reply) => {
      const made = await row<{ id: number }>(sql`
        INSERT INTO creators (name) VALUES (${request.body.name.trim()})
        ON CONFLICT DO NOTHING RETURNING id`);
      if (!made)
        throw new ApiError(409, 'exists', `There is a ${request.body.name.trim()} already`);
      return reply.code(201).send(made);
    },
  );

  app.get(
    '/creators',
    {
      schema: {
        querystring: CreatorPage,
        response: { 200: Type.Array(Creator) },
        summary: `Everybody who has a name, ${NEWEST_FIRST}`,
      },
    },
    async ({ query }) => {
      const { last, limit } = newest(query);
      return rows<Type.Static<typeof Creator>>(sql`
        SELECT c.id, c.name,
          (SELECT count(*)::integer FROM creator_references r WHERE r.creator_id = c.id) AS references,
          (SELECT count(DISTINCT a.video_id)::integer
            FROM video_tags t JOIN appearances a ON a.id = t.appearance_id
            WHERE t.creator_id = c.id AND t.state IN ('automatic', 'confirmed')) AS videos
        FROM creators c
        WHERE c.id <= ${last} AND strpos(lower(c.name), lower(${query.name ?? ''})) > 0
        ORDER BY c.id DESC
        LIMIT ${limit}`);
    },
  );

  app.get(
    '/creators/:id',
    {
      schema: {
        params: Id,
        response: { 200: CreatorInFull },
        summary: 'References, photos, videos',
      },
    },
    async (request) => {
      const creator = await row<{ id: number; name: string }>(
        sql`SELECT id, name FROM creators WHERE id = ${request.params.id}`,
      );
      if (!creator) throw notFound('creator');
      return { ...creator, ...(await details(sql, creator.id)) };
    },
  );

  app.patch(
    '/creators/:id',
    {
      schema: { params: Id, body: Naming, response: { 204: Type.Null() }, summary: 'Another name' },
    },
    async (request, reply) => {
      const name = request.body.name.trim();
      const renamed = row(sql`
        UPDATE creators SET name = ${name} WHERE id = ${request.params.id} RETURNING id`);
      const named = await renamed.catch((error) => {
        throw isTaken(error) ? new ApiError(409, 'exists', `There is a ${name} already`) : error;
      });
      if (!named) throw notFound('creator');
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/creators/:id/photos',
    {
      schema: {
        params: Id,
        response: { 202: Type.Array(Id) },
        consumes: ['multipart/form-data'],
        summary: 'Photos to recognise somebody by',
      },
    },
    async (request, reply) => {
      const creator = request.params.id;
      if (!(await row(sql`SELECT id FROM creators WHERE id = ${creator}`)))
        throw notFound('creator');
      const made = await uploads.keep(request, (received) =>
        sql.begin((tx) => addPhotos(tx, creator, received)),
      );
      if (!made) throw notFound('creator');
      return reply.code(202).send(made);
    },
  );

  app.delete(
    '/creators/:id',
    {
      schema: {
        params: Id,
        response: { 204: Type.Null() },
        summary: 'Forget somebody: references, and their faces in all videos',
      },
    },
    async (request, reply) => {
      const files = await sql.begin((tx) => forget(tx, request.params.id));
      if (!files) throw notFound('creator');
      await uploads.remove(files);
      return reply.code(204).send(null);
    },
  );

  app.delete(
    '/references/:id',
    { schema: { params: Id, response: { 204: Type.Null() }, summary: 'Drop a bad reference' } },
    async (request, reply) => {
      await sql.begin(async (tx) => {
        const dropped = await row<{ creator_id: number }>(tx`
          DELETE FROM creator_references WHERE id = ${request.params.id} RETURNING creator_id`);
        if (!dropped) throw notFound('reference');
        await enqueue(tx, 'decide', dropped.creator_id);
        await enqueue(tx, 'vacuum');
      });
      return reply.code(204).send(null);
    },
  );
};

/** Photos, each with a job to enrol it; undefined if the creator was forgotten meanwhile. */
async function addPhotos(
  sql: Queries,
  creator: number,
  received: Upload[],
): Promise<{ id: number }[] | undefined> {
  // Whoever forgets the creator waits for this transaction, and finds these files.
  const kept = await row(sql`SELECT id FROM creators WHERE id = ${creator} FOR KEY SHARE`);
  if (!kept) return undefined;
  const photos: { id: number }[] = [];
  for (const { file, name } of received) {
    const photo = (await row<{ id: number }>(sql`
      INSERT INTO photos (creator_id, name, file) VALUES (${creator}, ${name}, ${file})
      RETURNING id`))!;
    await enqueue(sql, 'enrol', photo.id);
    photos.push(photo);
  }
  return photos;
}

async function details(sql: Queries, id: number) {
  return {
    references: await rows<Type.Static<typeof Reference>>(sql`
      SELECT r.id, r.quality, r.photo_id, a.video_id, r.created_at
      FROM creator_references r LEFT JOIN appearances a ON a.id = r.appearance_id
      WHERE r.creator_id = ${id} ORDER BY r.quality DESC, r.id`),
    photos: await rows<Type.Static<typeof Photo>>(sql`
      SELECT p.id, p.name, coalesce(p.reason, j.error) AS reason,
        CASE WHEN j.state = 'failed' THEN 'refused' ELSE p.state END AS state
      FROM photos p LEFT JOIN jobs j ON j.kind = 'enrol' AND j.subject = p.id
      WHERE p.creator_id = ${id} ORDER BY p.id`),
    videos: await rows<Type.Static<typeof CreatorInFull>['videos'][number]>(sql`
      SELECT DISTINCT ON (v.id) v.id, v.name, t.state, t.similarity
      FROM video_tags t
      JOIN appearances a ON a.id = t.appearance_id
      JOIN videos v ON v.id = a.video_id
      WHERE t.creator_id = ${id}
      ORDER BY v.id DESC, array_position(ARRAY['confirmed', 'automatic', 'suggested', 'rejected'], t.state)`),
  };
}

/**
 * The right to be forgotten: references, and whoever is taken for this person in any video, with
 * faces, pictures and embeddings. The files of photos that are not enrolled yet are the answer.
 */
async function forget(sql: Queries, id: number): Promise<string[] | undefined> {
  await lockDecisions(sql);
  if (!(await row(sql`SELECT id FROM creators WHERE id = ${id} FOR UPDATE`))) return undefined;
  await sql`
    DELETE FROM appearances a USING video_tags t
    WHERE t.appearance_id = a.id AND t.creator_id = ${id} AND t.state IN ('automatic', 'confirmed')`;
  await dropEmptyGroups(sql);
  const photos = await rows<{ file: string }>(
    sql`SELECT file FROM photos WHERE creator_id = ${id}`,
  );
  // One that runs holds its row while it waits for the lock above, and finds no photo then.
  await sql`
    DELETE FROM jobs j USING photos p
    WHERE j.kind = 'enrol' AND j.subject = p.id AND p.creator_id = ${id} AND j.state <> 'running'`;
  await sql`DELETE FROM creators WHERE id = ${id}`;
  await enqueue(sql, 'vacuum');
  return photos.map(({ file }) => file);
}
