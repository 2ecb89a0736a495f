import { type Queries, row, rows } from '../database/connect.ts';
import { joinGroup, leaveGroup } from './groups.ts';
import type { Model } from './models.ts';
import { type Neighbour, nearestCreators } from './search.ts';
import type { Thresholds } from './thresholds.ts';

export type Verdict = 'automatic' | 'suggested' | 'none';

/**
 * What similarities mean. To be tagged without a person, the nearest creator must be nearer than the
 * second by a margin, and faces that are not fit for it must be nearer than others by as much.
 */
export function verdict(
  first: number | undefined,
  second: number | undefined,
  usable: boolean,
  { automatic, suggested, margin }: Thresholds,
): Verdict {
  if (first === undefined || first < suggested) return 'none';
  const clear = second === undefined || first - second >= margin;
  const near = first >= (usable ? automatic : automatic + margin);
  return near && clear ? 'automatic' : 'suggested';
}

/**
 * Decides who somebody in a video is, as far as no person has: a tag, a suggestion, or one of the
 * unknown. Whoever is tagged is in no group of unknown people.
 */
export async function decide(
  sql: Queries,
  model: Model,
  limits: Thresholds,
  appearance: number,
): Promise<void> {
  const known = await row<{ embedding: string; usable: boolean; video_id: number }>(sql`
    SELECT e.embedding::text, a.usable, a.video_id
    FROM appearances a
    JOIN appearance_embeddings e ON e.appearance_id = a.id AND e.model_id = ${model.id}
    WHERE a.id = ${appearance} AND NOT EXISTS (
      SELECT FROM video_tags t WHERE t.appearance_id = a.id AND t.state = 'confirmed')`);
  if (!known) return;
  const [first, second] = await candidates(sql, model, known.embedding, appearance);
  const found = verdict(first?.similarity, second?.similarity, known.usable, limits);
  await sql`
    DELETE FROM video_tags
    WHERE appearance_id = ${appearance} AND state IN ('automatic', 'suggested')`;
  if (first && found !== 'none') {
    await sql`
      INSERT INTO video_tags (appearance_id, creator_id, state, model_id, similarity, threshold,
        second_creator_id, second_similarity)
      VALUES (${appearance}, ${first.creator_id}, ${found}, ${model.id}, ${first.similarity},
        ${limits[found]}, ${second?.creator_id ?? null}, ${second?.similarity ?? null})`;
  }
  if (first && found === 'automatic') {
    await leaveGroup(sql, appearance);
    const weaker = await yieldToNearer(sql, first.creator_id, known.video_id);
    for (const id of weaker) await joinGroup(sql, model, limits, id);
  } else {
    await joinGroup(sql, model, limits, appearance);
  }
}

/** The nearest creators of whom nobody has said that this is not them. */
async function candidates(
  sql: Queries,
  model: Model,
  face: string,
  appearance: number,
): Promise<Neighbour[]> {
  const rejected = await rows<{ creator_id: number }>(sql`
    SELECT creator_id FROM video_tags
    WHERE appearance_id = ${appearance} AND state = 'rejected'`);
  const ids = new Set(rejected.map(({ creator_id }) => creator_id));
  const nearest = await nearestCreators(sql, model, face, 2 + ids.size);
  return nearest.filter(({ creator_id }) => !ids.has(creator_id));
}

/**
 * Nobody is twice in one frame: of those who are tagged automatically there, all but the nearest are
 * only suggested.
 */
async function yieldToNearer(sql: Queries, creator: number, video: number): Promise<number[]> {
  const weaker = await rows<{ id: number }>(sql`
    UPDATE video_tags t SET state = 'suggested'
    FROM appearances a
    WHERE a.id = t.appearance_id AND a.video_id = ${video}
      AND t.creator_id = ${creator} AND t.state = 'automatic'
      AND EXISTS (
        SELECT FROM video_tags o
        WHERE o.creator_id = t.creator_id AND o.appearance_id <> t.appearance_id
          AND (o.state = 'confirmed' OR o.state = 'automatic' AND o.similarity >= t.similarity)
          AND seen_together(o.appearance_id, t.appearance_id))
    RETURNING t.appearance_id AS id`);
  return weaker.map(({ id }) => id);
}

/** Somebody whom a person has recognised. What was thought of them before is gone. */
export async function confirm(
  sql: Queries,
  appearance: number,
  creator: number,
  user: number,
): Promise<void> {
  await sql`
    DELETE FROM video_tags
    WHERE appearance_id = ${appearance} AND state <> 'rejected' AND creator_id <> ${creator}`;
  await sql`
    INSERT INTO video_tags (appearance_id, creator_id, state, decided_by)
    VALUES (${appearance}, ${creator}, 'confirmed', ${user})
    ON CONFLICT (appearance_id, creator_id)
    DO UPDATE SET state = 'confirmed', decided_by = ${user}, decided_at = now()`;
  await leaveGroup(sql, appearance);
}
