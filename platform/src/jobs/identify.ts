import { type FaceServiceClient, fromVector } from 'face-service-client';
import type { Context } from '../context.ts';
import { type Queries, row, rows } from '../database/connect.ts';
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
    const appearances: number[] = [];
    for (const tracks of people) appearances.push(await storePerson(tx, video, tracks));
    await forgetOthers(tx, video);
    await storeMeans(tx, model, appearances);
    for (const appearance of appearances) await decide(tx, model, limits, appearance);
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
 * One person of a video, with their tracks; the new appearance. Of faces that are not kept, only
 * where and when they were stays.
 */
async function storePerson(sql: Queries, video: number, tracks: Face[][]): Promise<number> {
  const usable = tracks.flatMap(best).some((face) => face.usable);
  const { id } = (await row<{ id: number }>(sql`
    INSERT INTO appearances (video_id, usable) VALUES (${video}, ${usable}) RETURNING id`))!;
  for (const track of tracks) {
    const made = (await row<{ id: number }>(sql`
      INSERT INTO video_tracks (appearance_id, first_ms, last_ms)
      VALUES (${id}, ${track[0]!.frame_ms}, ${track.at(-1)!.frame_ms}) RETURNING id`))!;
    await sql`
      UPDATE video_face_detections SET track_id = ${made.id},
        picture = CASE WHEN id = ANY (${idsOf(best(track))}::integer[]) THEN picture END
      WHERE id = ANY (${idsOf(track)}::integer[])`;
  }
  return id;
}

/** As PostgreSQL reads an array. */
const idsOf = (faces: Face[]) => `{${faces.map(({ id }) => id).join(',')}}`;

/** Embeddings are kept of the faces that have a picture. */
async function forgetOthers(sql: Queries, video: number): Promise<void> {
  await sql`
    DELETE FROM video_face_embeddings e USING video_face_detections d
    WHERE d.id = e.detection_id AND d.video_id = ${video} AND d.picture IS NULL`;
}

async function storeMeans(sql: Queries, model: Model, appearances: number[]): Promise<void> {
  const ids = `{${appearances.join(',')}}`;
  await sql`
    INSERT INTO appearance_embeddings (model_id, appearance_id, embedding)
    SELECT model_id, appearance_id, embedding FROM appearance_means
    WHERE model_id = ${model.id} AND appearance_id = ANY (${ids}::integer[])`;
}
