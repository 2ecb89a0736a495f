import { type FaceServiceClient, toVector } from 'face-service-client';
import type { Context } from '../context.ts';
import { type Queries, row, rows } from '../database/connect.ts';
import { JobFailed } from '../errors.ts';
import {
  currentModel,
  lockDecisions,
  type Model,
  nextModel,
  useNext,
} from '../recognition/models.ts';
import { check } from '../recognition/services.ts';
import { enqueue } from './queue.ts';
import type { Handler } from './worker.ts';

interface Picture {
  id: number;
  creator_id: number | null;
  picture: Uint8Array;
}
/** Crops of one request. */
const CHUNK = 32;

/**
 * Embeds every kept picture with the next model, then makes that the current one. Until then the
 * current one answers, and what comes in is embedded with it; the switch waits until nothing lacks.
 */
export function reembed({ sql, queue, services }: Context): Handler {
  return async (job, signal) => {
    if (!(await nextModel(sql))) return;
    const { client, model } = await useNext(sql, services);
    let { done, total } = await count(sql, model);
    do {
      for await (const kept of missing(sql, model)) {
        signal.throwIfAborted();
        const embedded = await embed(client, model, kept, signal);
        await queue.write(job, (tx) => store(tx, model, kept, embedded));
        done += kept.length;
        await queue.progress(job, done, Math.max(done, total));
      }
    } while (!(await queue.write(job, (tx) => switchTo(tx, model))));
  };
}

/** Pictures that are not embedded with a model yet: of references, then of videos. */
async function* missing(sql: Queries, model: Model): AsyncGenerator<Picture[]> {
  for (const next of [references, detections]) {
    for (let kept = await next(sql, model, 0); kept.length > 0; ) {
      yield kept;
      kept = await next(sql, model, kept.at(-1)!.id);
    }
  }
}

const references = (sql: Queries, model: Model, after: number) =>
  rows<Picture>(sql`
    SELECT r.id, r.creator_id, r.picture FROM creator_references r
    WHERE r.id > ${after} AND NOT EXISTS (SELECT FROM creator_face_embeddings e
      WHERE e.reference_id = r.id AND e.model_id = ${model.id})
    ORDER BY r.id LIMIT ${CHUNK}`);

const detections = (sql: Queries, model: Model, after: number) =>
  rows<Picture>(sql`
    SELECT d.id, NULL::integer AS creator_id, d.picture FROM video_face_detections d
    WHERE d.id > ${after} AND d.picture IS NOT NULL AND NOT EXISTS (
      SELECT FROM video_face_embeddings e
      WHERE e.detection_id = d.id AND e.model_id = ${model.id})
    ORDER BY d.id LIMIT ${CHUNK}`);

async function embed(
  client: FaceServiceClient,
  model: Model,
  kept: Picture[],
  signal: AbortSignal,
) {
  const answer = await client.embed(
    kept.map(({ picture }) => picture),
    { signal },
  );
  check(model, answer);
  return answer.results.map(({ embedding, error }, n) => {
    if (embedding) return toVector(embedding);
    throw new JobFailed(`Picture ${kept[n]!.id} cannot be embedded: ${error?.detail}`);
  });
}

/** What was deleted meanwhile is not put back. */
async function store(
  sql: Queries,
  model: Model,
  kept: Picture[],
  embedded: string[],
): Promise<void> {
  for (const [n, { id, creator_id }] of kept.entries()) {
    const vector = embedded[n]!;
    await (creator_id === null
      ? sql`
        INSERT INTO video_face_embeddings (model_id, detection_id, embedding)
        SELECT ${model.id}::integer, id, ${vector}::halfvec FROM video_face_detections
        WHERE id = ${id} AND picture IS NOT NULL ON CONFLICT DO NOTHING`
      : sql`
        INSERT INTO creator_face_embeddings (model_id, reference_id, creator_id, embedding)
        SELECT ${model.id}::integer, id, creator_id, ${vector}::halfvec FROM creator_references
        WHERE id = ${id} ON CONFLICT DO NOTHING`);
  }
}

async function count(sql: Queries, { id }: Model): Promise<{ done: number; total: number }> {
  return (await row<{ done: number; total: number }>(sql`
    SELECT count(*) FILTER (WHERE embedded)::integer AS done, count(*)::integer AS total
    FROM (
      SELECT EXISTS (SELECT FROM creator_face_embeddings e
        WHERE e.reference_id = r.id AND e.model_id = ${id}) AS embedded
      FROM creator_references r
      UNION ALL
      SELECT EXISTS (SELECT FROM video_face_embeddings e
        WHERE e.detection_id = d.id AND e.model_id = ${id})
      FROM video_face_detections d WHERE d.picture IS NOT NULL
    ) AS pictures`))!;
}

/**
 * Makes the next model the current one, if nothing lacks. Videos that are being analysed hold faces
 * of the old one: theirs are embedded before, and they go on with the new one.
 */
async function switchTo(sql: Queries, model: Model): Promise<boolean> {
  await lockDecisions(sql);
  if ((await nextModel(sql))?.id !== model.id) return true; // another job has switched
  // Nobody adds faces between this count and the switch.
  await sql`LOCK TABLE creator_references, video_face_detections IN SHARE MODE`;
  const { done, total } = await count(sql, model);
  if (done < total) return false;
  const old = await currentModel(sql);
  await sql`UPDATE models SET state = 'retired' WHERE id = ${old!.id}`;
  await sql`UPDATE models SET state = 'current' WHERE id = ${model.id}`;
  await sql`
    INSERT INTO appearance_embeddings (model_id, appearance_id, embedding)
    SELECT model_id, appearance_id, embedding FROM appearance_means WHERE model_id = ${model.id}`;
  await sql`SELECT drop_space(${old!.id})`;
  await enqueue(sql, 'decide', 0);
  return true;
}
