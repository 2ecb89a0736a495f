import type { Context } from '../context.ts';
import type { Handler } from './worker.ts';

/**
 * After a deletion: the places of what was deleted are free to be written over, and dead rows leave
 * the HNSW indexes, where they would take the places of others among the nearest.
 */
export function vacuum({ sql }: Context): Handler {
  return async () => {
    await sql.unsafe(
      'VACUUM (INDEX_CLEANUP ON) creator_references, creator_face_embeddings, ' +
        'video_face_detections, video_face_embeddings, appearance_embeddings',
    );
  };
}
