import { arrayOf, type Queries, rows } from '../database/connect.ts';
import { joinGroup, leaveGroup } from './groups.ts';
import type { Model } from './models.ts';
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

/** Somebody in a video whom no person has recognised. */
interface Undecided {
  id: number;
  video_id: number;
  usable: boolean;
  /** Whether there is a tag, which is now decided anew. */
  tagged: boolean;
  /** Of whom nobody has said that this is not them, best first. */
  nearest: { creator_id: number; similarity: number }[];
}

/**
 * Decides who people in videos are, one after the other, as far as no person has: a tag, a
 * suggestion, or one of the unknown. Whoever is tagged is in no group of unknown people.
 */
export async function decide(
  sql: Queries,
  model: Model,
  limits: Thresholds,
  appearances: number[],
): Promise<void> {
  for (const each of await undecided(sql, model, appearances)) {
    await decideOne(sql, model, limits, each);
  }
}

async function decideOne(
  sql: Queries,
  model: Model,
  limits: Thresholds,
  { id, video_id, usable, tagged, nearest: [first, second] }: Undecided,
): Promise<void> {
  const found = verdict(first?.similarity, second?.similarity, usable, limits);
  if (tagged) {
    await sql`
      DELETE FROM video_tags WHERE appearance_id = ${id} AND state IN ('automatic', 'suggested')`;
  }
  if (first && found !== 'none') {
    await sql`
      INSERT INTO video_tags (appearance_id, creator_id, state, model_id, similarity, threshold,
        second_creator_id, second_similarity)
      VALUES (${id}, ${first.creator_id}, ${found}, ${model.id}, ${first.similarity},
        ${limits[found]}, ${second?.creator_id ?? null}, ${second?.similarity ?? null})`;
  }
  if (first && found === 'automatic') {
    await leaveGroup(sql, id);
    const weaker = await yieldToNearer(sql, first.creator_id, video_id);
    for (const each of weaker) await joinGroup(sql, model, limits, each);
  } else {
    await joinGroup(sql, model, limits, id);
  }
}

/** In one statement what is asked of all; nothing of it is changed by a decision. */
function undecided(sql: Queries, model: Model, appearances: number[]): Promise<Undecided[]> {
  return rows<Undecided>(sql`
    SELECT a.id, a.video_id, a.usable,
      EXISTS (SELECT FROM video_tags t
        WHERE t.appearance_id = a.id AND t.state IN ('automatic', 'suggested')) AS tagged,
      (SELECT coalesce(json_agg(n ORDER BY n.similarity DESC, n.creator_id), '[]')
        FROM nearest_creators(${model.id}, e.embedding, 2 + cardinality(r.rejected)) n
        WHERE n.creator_id <> ALL (r.rejected)) AS nearest
    FROM unnest(${arrayOf(appearances)}::integer[]) WITH ORDINALITY AS asked(id, place)
    JOIN appearances a ON a.id = asked.id
    JOIN appearance_embeddings e ON e.appearance_id = a.id AND e.model_id = ${model.id}
    CROSS JOIN LATERAL (SELECT ARRAY(
      SELECT t.creator_id FROM video_tags t
      WHERE t.appearance_id = a.id AND t.state = 'rejected') AS rejected) r
    WHERE NOT EXISTS (
      SELECT FROM video_tags t WHERE t.appearance_id = a.id AND t.state = 'confirmed')
    ORDER BY asked.place`);
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
        SELECT FROM seen_with(t.appearance_id) AS beside
        JOIN video_tags o ON o.appearance_id = beside AND o.creator_id = t.creator_id
        WHERE o.state = 'confirmed' OR o.state = 'automatic' AND o.similarity >= t.similarity)
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
