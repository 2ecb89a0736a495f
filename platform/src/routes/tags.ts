import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Context } from '../context.ts';
import { type Queries, row, rows } from '../database/connect.ts';
import { ApiError, notFound } from '../http/errors.ts';
import { userOf } from '../http/sessions.ts';
import { enqueue } from '../jobs/queue.ts';
import { confirm, decide } from '../recognition/decide.ts';
import { currentModel, lockDecisions, type Model } from '../recognition/models.ts';
import { learn, unlearn, unlearnOthers } from '../recognition/references.ts';
import { thresholds } from '../recognition/thresholds.ts';
import {
  Decision,
  Group,
  Id,
  IdAndCreator,
  Naming,
  NEWEST_FIRST,
  newest,
  Page,
} from './schemas.ts';

const Done = { 204: Type.Null() };

/** What people decide: who is who, and who is not. */
export const tags: FastifyPluginAsyncTypebox<Context> = async (app, { sql, config }) => {
  for (const [path, whose, summary] of [
    [
      '/videos/:id/tags/:creator',
      'video_id',
      'Confirm or reject a tag of all in a video who have it',
    ],
    ['/appearances/:id/tags/:creator', 'id', 'Confirm or reject a tag of somebody in a video'],
  ] as const) {
    app.put(
      path,
      { schema: { params: IdAndCreator, body: Decision, response: Done, summary } },
      async (request, reply) => {
        const { id, creator } = request.params;
        await sql.begin(async (tx) => {
          const model = await beginDecision(tx);
          const tagged = await rows<{ id: number }>(tx`
            SELECT id FROM appearances JOIN video_tags t ON t.appearance_id = id
            WHERE ${tx(whose)} = ${id} AND t.creator_id = ${creator}
            ORDER BY array_position(ARRAY['confirmed', 'automatic', 'suggested', 'rejected'], t.state),
              t.similarity DESC, id`);
          if (tagged.length === 0) throw notFound('tag');
          for (const appearance of tagged) {
            if (request.body.state === 'rejected') {
              await reject(tx, appearance.id, creator, userOf(request));
            } else if (whose === 'id' || !(await seenBeside(tx, creator, appearance.id))) {
              await name(tx, model, appearance.id, creator, userOf(request));
            }
          }
          const limits = await thresholds(tx, model, config);
          const again = tagged.map(({ id }) => id);
          await decide(tx, model, limits, again);
          await enqueue(tx, 'decide', creator);
        });
        return reply.code(204).send(null);
      },
    );
  }

  app.get(
    '/groups',
    {
      schema: {
        querystring: Page,
        response: { 200: Type.Array(Group) },
        summary: `Unknown people, ${NEWEST_FIRST}`,
      },
    },
    async ({ query }) => {
      const { last, limit } = newest(query);
      return groups(sql, last, limit);
    },
  );

  for (const [path, condition] of [
    ['/groups/:id/name', 'group_id'],
    ['/appearances/:id/name', 'id'],
  ] as const) {
    app.post(
      path,
      {
        schema: {
          params: Id,
          body: Naming,
          response: { 200: Id },
          summary: condition === 'id' ? 'Name somebody in a video' : 'Name an unknown person',
        },
      },
      async (request) =>
        sql.begin(async (tx) => {
          const model = await beginDecision(tx);
          const named = await rows<{ id: number }>(
            tx`SELECT id FROM appearances WHERE ${tx(condition)} = ${request.params.id} ORDER BY id`,
          );
          if (named.length === 0) throw notFound(condition === 'id' ? 'person' : 'group');
          const creator = await creatorNamed(tx, request.body.name);
          for (const { id } of named) await name(tx, model, id, creator.id, userOf(request));
          await enqueue(tx, 'decide', creator.id);
          return creator;
        }),
    );
  }
};

async function beginDecision(sql: Queries): Promise<Model> {
  await lockDecisions(sql);
  const model = await currentModel(sql);
  if (!model) throw new ApiError(503, 'not_ready', 'No face service has been reached yet');
  return model;
}

/** Whether this creator is somebody else in the same frame already. */
const seenBeside = (sql: Queries, creator: number, appearance: number) =>
  row(sql`
    SELECT t.appearance_id FROM seen_with(${appearance}) AS beside
    JOIN video_tags t ON t.appearance_id = beside
    WHERE t.creator_id = ${creator} AND t.state = 'confirmed'
    LIMIT 1`);

/** Somebody is this creator, and nobody else: what was learnt of others from them goes. */
async function name(
  sql: Queries,
  model: Model,
  appearance: number,
  creator: number,
  user: number,
): Promise<void> {
  await confirm(sql, appearance, creator, user);
  for (const other of await unlearnOthers(sql, creator, appearance)) {
    await enqueue(sql, 'decide', other);
  }
  await learn(sql, model, creator, appearance);
}

async function reject(sql: Queries, appearance: number, creator: number, user: number) {
  await sql`
    UPDATE video_tags SET state = 'rejected', decided_by = ${user}, decided_at = now()
    WHERE appearance_id = ${appearance} AND creator_id = ${creator}`;
  await unlearn(sql, creator, appearance);
}

/** The creator of a name; a new one if nobody has it. */
export async function creatorNamed(sql: Queries, name: string): Promise<{ id: number }> {
  // DO UPDATE answers with the row that is there, which nobody renames or forgets until this ends.
  return (await row<{ id: number }>(sql`
    INSERT INTO creators (name) VALUES (${name.trim()})
    ON CONFLICT ((lower(name))) DO UPDATE SET name = creators.name RETURNING id`))!;
}

/** Those up to a last id, newest first. */
function groups(sql: Queries, last: number, limit: number): Promise<Type.Static<typeof Group>[]> {
  return rows(sql`
    SELECT g.group_id AS id, sum(g.faces)::integer AS faces,
      (SELECT json_agg(d.id ORDER BY d.usable DESC, d.quality DESC)
        FROM appearances a JOIN video_tracks t ON t.appearance_id = a.id
        JOIN video_face_detections d ON d.track_id = t.id
        WHERE a.group_id = g.group_id AND d.picture IS NOT NULL) AS pictures,
      json_agg(json_build_object('appearance_id', g.id, 'video_id', g.video_id, 'video', g.video,
        'first_ms', g.first_ms, 'suggestion', g.suggestion) ORDER BY g.video_id, g.first_ms) AS appearances
    FROM (
      SELECT a.id, a.group_id, a.video_id, v.name AS video, min(t.first_ms) AS first_ms,
        sum((SELECT count(*) FROM video_face_detections d WHERE d.track_id = t.id)) AS faces,
        (SELECT tag_json(s) FROM video_tags s
          WHERE s.appearance_id = a.id AND s.state = 'suggested') AS suggestion
      FROM appearances a
      JOIN videos v ON v.id = a.video_id
      JOIN video_tracks t ON t.appearance_id = a.id
      WHERE a.group_id IN (
        SELECT id FROM face_groups WHERE id <= ${last} ORDER BY id DESC LIMIT ${limit})
      GROUP BY a.id, v.name
    ) AS g
    GROUP BY g.group_id
    ORDER BY id DESC`);
}
