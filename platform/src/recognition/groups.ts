import { type Queries, row } from '../database/connect.ts';
import type { Model } from './models.ts';
import type { Thresholds } from './thresholds.ts';

/** Takes somebody who is known now out of the unknown. */
export async function leaveGroup(sql: Queries, appearance: number): Promise<void> {
  const left = await row<{ group_id: number }>(sql`
    SELECT group_id FROM appearances WHERE id = ${appearance} AND group_id IS NOT NULL`);
  if (!left) return;
  await sql`UPDATE appearances SET group_id = NULL WHERE id = ${appearance}`;
  await sql`
    DELETE FROM face_groups g
    WHERE id = ${left.group_id} AND NOT EXISTS (SELECT FROM appearances a WHERE a.group_id = g.id)`;
}

/** After a deletion. Looks at every group: only who deletes pays for it. */
export async function dropEmptyGroups(sql: Queries): Promise<void> {
  await sql`
    DELETE FROM face_groups g WHERE NOT EXISTS (SELECT FROM appearances a WHERE a.group_id = g.id)`;
}

/**
 * Puts somebody unknown beside the nearest of the unknown who is never seen together with them, or
 * into a group of their own. Whoever is in a group stays there.
 */
export async function joinGroup(
  sql: Queries,
  model: Model,
  { automatic }: Thresholds,
  appearance: number,
): Promise<void> {
  await sql`
    WITH mine AS (
      SELECT a.id, e.embedding
      FROM appearances a
      JOIN appearance_embeddings e ON e.appearance_id = a.id AND e.model_id = ${model.id}
      WHERE a.id = ${appearance} AND a.group_id IS NULL
    ), found AS (
      SELECT a.group_id
      FROM mine
      CROSS JOIN LATERAL nearest_appearances(${model.id}, mine.embedding) n
      JOIN appearances a ON a.id = n.appearance_id
      WHERE n.similarity >= ${automatic} AND a.group_id IS NOT NULL AND a.group_id NOT IN (
        SELECT o.group_id FROM appearances o JOIN seen_with(${appearance}) AS beside ON o.id = beside
        WHERE o.group_id IS NOT NULL)
      ORDER BY n.similarity DESC
      LIMIT 1
    ), made AS (
      INSERT INTO face_groups (created_at)
      SELECT now() FROM mine WHERE NOT EXISTS (SELECT FROM found)
      RETURNING id
    )
    UPDATE appearances a SET group_id = coalesce(found.group_id, made.id)
    FROM mine LEFT JOIN found ON true LEFT JOIN made ON true
    WHERE a.id = mine.id`;
}
