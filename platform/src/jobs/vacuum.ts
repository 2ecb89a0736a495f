import type { Context } from '../context.ts';
import type { Handler } from './worker.ts';

/**
 * After a deletion: what was deleted leaves the disk, and the HNSW indexes, in which dead rows
 * would take the places of others.
 */
export function vacuum({ sql }: Context): Handler {
  return async () => {
    await sql.unsafe(
      'VACUUM (INDEX_CLEANUP ON) creator_references, creator_face_embeddings, ' +
        'video_face_detections, video_face_embeddings, appearance_embeddings',
    );
  };
}
