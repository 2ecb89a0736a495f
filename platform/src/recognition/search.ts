import { toVector } from 'face-service-client';
import { type Queries, rows } from '../database/connect.ts';
import type { Model } from './models.ts';

export interface Neighbour {
  creator_id: number;
  name: string;
  similarity: number;
}

/** The creators nearest to a face, best first; of each the similarity of the nearest reference. */
export function nearestCreators(
  sql: Queries,
  model: Model,
  face: Float32Array | string,
  most: number,
): Promise<Neighbour[]> {
  const vector = typeof face === 'string' ? face : toVector(face);
  return rows<Neighbour>(sql`
    SELECT n.creator_id, c.name, n.similarity
    FROM nearest_creators(${model.id}, ${vector}::halfvec, ${most}) n
    JOIN creators c ON c.id = n.creator_id
    ORDER BY n.similarity DESC, n.creator_id`);
}
