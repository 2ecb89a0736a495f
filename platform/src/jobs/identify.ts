import { type FaceServiceClient, fromVector } from 'face-service-client';
import type { Context } from '../context.ts';
import { arrayOf, type Queries, rows } from '../database/connect.ts';
import { decide } from '../recognition/decide.ts';
import { lockDecisions, type Model, stillCurrent } from '../recognition/models.ts';
import { check } from '../recognition/services.ts';
import { thresholds } from '../recognition/thresholds.ts';
import type { Job } from './queue.ts';

interface Face {
  id: number;
  frame_ms: number;
  quality: number;
  usable: boolean;
}
interface FaceToGroup extends Face {
  bbox: number[];
  embedding: string;
}
type Grouping = Awaited<ReturnType<FaceServiceClient['group']>>;

/** Faces the service groups at once; of longer videos, people are joined by who they look like. */
const AT_ONCE = 10_000;
/** Faces of a track that are kept: those that vote, are shown, and are embedded again. */
const KEPT = 3;

/** The faces of a video to tracks, tracks to people, people to names. */
export async function identify(
  { sql, queue, config }: Context,
  job: Job,
  video: number,
  { client, model }: { client: FaceServiceClient; model: Model },
  signal: AbortSignal,
): Promise<void> {
  const limits = await thresholds(sql, model, config);
  // Of a pack that nobody has measured, the service has no thresholds of its own.
  const similarities = model.operating_points
    ? {}
    : { group_similarity: limits.automatic, track_similarity: limits.suggested };
  const people: Face[][][] = [];
  for await (const part of parts(sql, video, model)) {
    const grouping = await client.group(part.map(asInput), {
      ...similarities,
      signal,
      max_gap: (2.5 * config.FRAME_INTERVAL_MS) / 1000,
    });
    check(model, grouping);
    people.push(...tracksOfPeople(grouping, part));
  }
  await queue.write(job, async (tx) => {
    await lockDecisions(tx);
    await stillCurrent(tx, model);
    const appearances = await storePeople(tx, video, people);
    await forgetOthers(tx, video);
    await storeMeans(tx, model, appearances);
    await decide(tx, model, limits, appearances);
    await tx`UPDATE videos SET done_at = now() WHERE id = ${video}`;
  });
}

/** The faces of a video in their order, as many as are grouped at once. */
async function* parts(sql: Queries, video: number, model: Model): AsyncGenerator<FaceToGroup[]> {
  for (let [ms, id] = [-1, 0]; ; ) {
    const part = await rows<FaceToGroup>(sql`
      SELECT d.id, d.frame_ms, d.bbox, d.quality, d.usable, e.embedding::text
      FROM video_face_detections d
      JOIN video_face_embeddings e ON e.detection_id = d.id AND e.model_id = ${model.id}
      WHERE d.video_id = ${video} AND (d.frame_ms, d.id) > (${ms}::integer, ${id}::integer)
      ORDER BY d.frame_ms, d.id
      LIMIT ${AT_ONCE}`);
    if (part.length > 0) yield part;
    if (part.length < AT_ONCE) return;
    ({ frame_ms: ms, id } = part.at(-1)!);
  }
}

const asInput = ({ embedding, frame_ms, bbox, quality }: FaceToGroup) => ({
  embedding: fromVector(embedding),
  time: frame_ms / 1000,
  // Bun gives a real[] as Array or as Float32Array.
  bbox: [...bbox] as [number, number, number, number],
  quality,
});

function tracksOfPeople({ groups, tracks }: Grouping, part: FaceToGroup[]): Face[][][] {
  // Without the embeddings: those of a long video are more than there is room for.
  const faces = part.map(({ id, frame_ms, quality, usable }) => ({
    id,
    frame_ms,
    quality,
    usable,
  }));
  return groups.map((group) =>
    group.tracks.map((track) => tracks[track]!.faces.map((face) => faces[face]!)),
  );
}

/** The faces of a track that are kept. */
function best(track: Face[]): Face[] {
  const byWorth = (a: Face, b: Face) =>
    Number(b.usable) - Number(a.usable) || b.quality - a.quality;
  return [...track].sort(byWorth).slice(0, KEPT);
}

/**
 * The people of a video, with their tracks; the new appearances. Of faces that are not kept, only
 * where and when they were stays. A statement for all of a kind: there are many.
 */
async function storePeople(sql: Queries, video: number, people: Face[][][]): Promise<number[]> {
  const usable = people.map((tracks) => tracks.flatMap(best).some((face) => face.usable));
  const appearances = inOrder(
    await rows<{ id: number }>(sql`
      INSERT INTO appearances (video_id, usable)
      SELECT ${video}, given.usable
      FROM unnest(${arrayOf(usable)}::boolean[]) WITH ORDINALITY AS given(usable, place)
      ORDER BY place RETURNING id`),
  );
  const tracks = people.flat();
  const whose = people.flatMap((own, n) => own.map(() => appearances[n]!));
  const ids = inOrder(
    await rows<{ id: number }>(sql`
      INSERT INTO video_tracks (appearance_id, first_ms, last_ms)
      SELECT given.appearance_id, given.first_ms, given.last_ms
      FROM unnest(${arrayOf(whose)}::integer[],
        ${arrayOf(tracks.map((track) => track[0]!.frame_ms))}::integer[],
        ${arrayOf(tracks.map((track) => track.at(-1)!.frame_ms))}::integer[]
      ) WITH ORDINALITY AS given(appearance_id, first_ms, last_ms, place)
      ORDER BY place RETURNING id`),
  );
  const kept = new Set(tracks.flatMap(best));
  const faces = tracks.flatMap((track, n) => track.map((face) => ({ face, track: ids[n]! })));
  await sql`
    UPDATE video_face_detections d
    SET track_id = given.track_id, picture = CASE WHEN given.kept THEN d.picture END
    FROM unnest(${arrayOf(faces.map(({ face }) => face.id))}::integer[],
      ${arrayOf(faces.map(({ track }) => track))}::integer[],
      ${arrayOf(faces.map(({ face }) => kept.has(face)))}::boolean[]
    ) AS given(id, track_id, kept)
    WHERE d.id = given.id`;
  return appearances;
}

/** Ids of rows that were inserted in an order, which is theirs. */
const inOrder = (made: { id: number }[]) => made.map(({ id }) => id).sort((a, b) => a - b);

/** Embeddings are kept of the faces that have a picture. */
async function forgetOthers(sql: Queries, video: number): Promise<void> {
  await sql`
    DELETE FROM video_face_embeddings e USING video_face_detections d
    WHERE d.id = e.detection_id AND d.video_id = ${video} AND d.picture IS NULL`;
}

async function storeMeans(sql: Queries, model: Model, appearances: number[]): Promise<void> {
  await sql`
    INSERT INTO appearance_embeddings (model_id, appearance_id, embedding)
    SELECT model_id, appearance_id, embedding FROM appearance_means
    WHERE model_id = ${model.id} AND appearance_id = ANY (${arrayOf(appearances)}::integer[])`;
}
