import type { Context } from '../context.ts';
import { type Queries, rows } from '../database/connect.ts';
import { decide } from '../recognition/decide.ts';
import { currentModel, lockDecisions, type Model, stillCurrent } from '../recognition/models.ts';
import { type Thresholds, thresholds } from '../recognition/thresholds.ts';
import type { Handler } from './worker.ts';

/** Appearances that are decided in one transaction. */
const CHUNK = 200;

/**
 * Decides again who is who: of everybody (subject 0), or of those whom a creator's references,
 * which have changed, may concern.
 */
export function decideAgain({ sql, queue, config }: Context): Handler {
  return async (job, signal) => {
    const model = await currentModel(sql);
    if (!model) return;
    const limits = await thresholds(sql, model, config);
    const concerned =
      job.subject === 0 ? await everybody(sql) : await near(sql, model, limits, job.subject);
    for (let at = 0; at < concerned.length; at += CHUNK) {
      signal.throwIfAborted();
      await queue.write(job, async (tx) => {
        await lockDecisions(tx);
        await stillCurrent(tx, model);
        await decide(tx, model, limits, concerned.slice(at, at + CHUNK));
      });
      await queue.progress(job, Math.min(at + CHUNK, concerned.length), concerned.length);
    }
  };
}

async function everybody(sql: Queries): Promise<number[]> {
  const all = await rows<{ id: number }>(sql`SELECT id FROM appearances ORDER BY id`);
  return all.map(({ id }) => id);
}

/** Who looks like a creator, and whom the creator was named for. */
async function near(
  sql: Queries,
  model: Model,
  { suggested }: Thresholds,
  creator: number,
): Promise<number[]> {
  const found = await rows<{ id: number }>(sql`
    SELECT n.appearance_id AS id
    FROM creator_face_embeddings r
    CROSS JOIN LATERAL nearest_appearances(${model.id}, r.embedding) n
    WHERE r.model_id = ${model.id} AND r.creator_id = ${creator} AND n.similarity >= ${suggested}
    UNION
    SELECT appearance_id FROM video_tags
    WHERE (creator_id = ${creator} OR second_creator_id = ${creator})
      AND state IN ('automatic', 'suggested')
    ORDER BY id`);
  return found.map(({ id }) => id);
}
