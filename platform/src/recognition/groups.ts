import { type Queries, row } from '../database/connect.ts';
import type { Model } from './models.ts';
import type { Thresholds } from './thresholds.ts';

/** Takes somebody who is known now out of the unknown. */
export async function leaveGroup(sql: Queries, appearance: number): Promise<void> {
  await sql`UPDATE appearances SET group_id = NULL WHERE id = ${appearance}`;
  await dropEmptyGroups(sql);
}

export async function dropEmptyGroups(sql: Queries): Promise<void> {
  await sql`
    DELETE FROM face_groups g WHERE NOT EXISTS (SELECT FROM appearances a WHERE a.group_id = g.id)`;
}

/**
 * Puts somebody unknown beside the nearest of the unknown who is never seen together with them, or
 * into a group of their own.
 */
export async function joinGroup(
  sql: Queries,
  model: Model,
  { automatic }: Thresholds,
  appearance: number,
): Promise<void> {
  const grouped = await row(sql`
    SELECT group_id FROM appearances WHERE id = ${appearance} AND group_id IS NOT NULL`);
  if (grouped) return;
  const found = await row<{ group_id: number }>(sql`
    SELECT a.group_id
    FROM appearance_embeddings e
    CROSS JOIN LATERAL nearest_appearances(${model.id}, e.embedding) n
    JOIN appearances a ON a.id = n.appearance_id
    WHERE e.appearance_id = ${appearance} AND e.model_id = ${model.id}
      AND n.similarity >= ${automatic} AND a.group_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM appearances o
        WHERE o.group_id = a.group_id AND seen_together(o.id, ${appearance}))
    ORDER BY n.similarity DESC
    LIMIT 1`);
  const group =
    found ??
    (await row<{ group_id: number }>(sql`
      INSERT INTO face_groups DEFAULT VALUES RETURNING id AS group_id`))!;
  await sql`UPDATE appearances SET group_id = ${group.group_id} WHERE id = ${appearance}`;
}
