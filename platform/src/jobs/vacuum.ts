import type { Context } from '../context.ts';
import { rows } from '../database/connect.ts';
import type { Handler } from './worker.ts';

/**
 * After a deletion: files go, also where the backend that deleted them was killed before; the places
 * of deleted rows are free to be written over, and dead rows leave the HNSW indexes, where they would
 * take the places of others among the nearest.
 */
export function vacuum({ sql, uploads }: Context): Handler {
  return async () => {
    const discarded = await rows<{ file: string }>(sql`SELECT file FROM discarded_files`);
    for (const { file } of discarded) {
      await uploads.remove([file]);
      await sql`DELETE FROM discarded_files WHERE file = ${file}`;
    }
    await sql.unsafe(
      'VACUUM (INDEX_CLEANUP ON) creator_references, creator_face_embeddings, ' +
        'video_face_detections, video_face_embeddings, appearance_embeddings',
    );
  };
}
