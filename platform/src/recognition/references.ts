import { fromVector, similarity, toVector } from 'face-service-client';
import { type Queries, row, rows } from '../database/connect.ts';
import type { Model } from './models.ts';
import { nearestCreators } from './search.ts';

export interface Candidate {
  embedding: Float32Array;
  /** The aligned crop as JPEG. */
  picture: Uint8Array;
  quality: number;
  /** Where it comes from: one of the two. */
  photo_id?: number;
  appearance_id?: number;
}

/** References of one creator; more make searches slower and no better. */
const MOST = 20;
/** From here on two pictures of somebody say the same. */
const SAME = 0.95;

/**
 * Adds a reference to a creator, if it is of use: different from those that are there, and not
 * nearer to somebody else. Otherwise the reason, as a sentence.
 */
export async function addReference(
  sql: Queries,
  model: Model,
  creator: number,
  candidate: Candidate,
): Promise<string | null> {
  const own = await referencesOf(sql, model, creator);
  if (own.length >= MOST) return `There are ${MOST} references already`;
  const nearest = Math.max(-1, ...own.map((each) => similarity(each, candidate.embedding)));
  if (nearest > SAME) return 'Almost the same as a reference that is there already';
  const others = await nearestCreators(sql, model, candidate.embedding, 2);
  const other = others.find(({ creator_id }) => creator_id !== creator);
  if (own.length > 0 && other && other.similarity > nearest) {
    // Without a name: this sentence stays where that person is forgotten.
    return `Looks more like somebody else (${other.similarity.toFixed(2)}) than like this person`;
  }
  await insert(sql, model, creator, candidate);
  return null;
}

async function insert(sql: Queries, model: Model, creator: number, candidate: Candidate) {
  const { picture, quality, photo_id = null, appearance_id = null, embedding } = candidate;
  const made = (await row<{ id: number }>(sql`
    INSERT INTO creator_references (creator_id, picture, quality, photo_id, appearance_id)
    VALUES (${creator}, ${picture}, ${quality}, ${photo_id}, ${appearance_id})
    RETURNING id`))!;
  await sql`
    INSERT INTO creator_face_embeddings (model_id, reference_id, creator_id, embedding)
    VALUES (${model.id}, ${made.id}, ${creator}, ${toVector(embedding)})`;
}

async function referencesOf(sql: Queries, model: Model, creator: number): Promise<Float32Array[]> {
  const found = await rows<{ embedding: string }>(sql`
    SELECT embedding::text FROM creator_face_embeddings
    WHERE creator_id = ${creator} AND model_id = ${model.id}`);
  return found.map(({ embedding }) => fromVector(embedding));
}

/** References that one appearance of somebody gives at most: more are much the same. */
const OF_AN_APPEARANCE = 3;

/** Learns a creator's face from somebody in a video whom a person has confirmed. */
export async function learn(
  sql: Queries,
  model: Model,
  creator: number,
  appearance: number,
): Promise<void> {
  const faces = await rows<{ embedding: string; picture: Uint8Array; quality: number }>(sql`
    SELECT e.embedding::text, d.picture, d.quality
    FROM video_tracks t
    JOIN video_face_detections d ON d.track_id = t.id
    JOIN video_face_embeddings e ON e.detection_id = d.id AND e.model_id = ${model.id}
    WHERE t.appearance_id = ${appearance} AND d.usable
    ORDER BY d.quality DESC`);
  let added = 0;
  for (const { embedding, picture, quality } of faces) {
    if (added === OF_AN_APPEARANCE) return;
    const candidate = {
      embedding: fromVector(embedding),
      picture,
      quality,
      appearance_id: appearance,
    };
    if ((await addReference(sql, model, creator, candidate)) === null) added++;
  }
}

/** Takes back what was learnt of a creator from an appearance. */
export async function unlearn(sql: Queries, creator: number, appearance: number): Promise<void> {
  await sql`
    DELETE FROM creator_references WHERE creator_id = ${creator} AND appearance_id = ${appearance}`;
}

/** Takes back what was learnt from an appearance of others than a creator; whose references these were. */
export async function unlearnOthers(
  sql: Queries,
  creator: number,
  appearance: number,
): Promise<number[]> {
  const dropped = await rows<{ creator_id: number }>(sql`
    DELETE FROM creator_references
    WHERE appearance_id = ${appearance} AND creator_id <> ${creator} RETURNING creator_id`);
  return [...new Set(dropped.map(({ creator_id }) => creator_id))];
}
