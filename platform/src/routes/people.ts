import type { Type } from 'typebox';
import { type Queries, rows } from '../database/connect.ts';
import type { Person } from './schemas.ts';

export type PersonRow = Type.Static<typeof Person>;

/** The people of a video, with why they are taken for whom they are taken for. */
export function peopleOf(sql: Queries, video: number): Promise<PersonRow[]> {
  return rows<PersonRow>(sql`
    SELECT a.id AS appearance_id, a.group_id, a.usable, f.faces, f.frames, f.pictures, f.tracks,
      coalesce(g.tags, '[]') AS tags
    FROM appearances a
    CROSS JOIN LATERAL (
      SELECT count(*)::integer AS faces, count(DISTINCT d.frame_ms)::integer AS frames,
        coalesce(json_agg(d.id ORDER BY d.quality DESC) FILTER (WHERE d.picture IS NOT NULL), '[]') AS pictures,
        (SELECT json_agg(json_build_object('first_ms', first_ms, 'last_ms', last_ms) ORDER BY first_ms)
          FROM video_tracks WHERE appearance_id = a.id) AS tracks
      FROM video_tracks t JOIN video_face_detections d ON d.track_id = t.id
      WHERE t.appearance_id = a.id
    ) AS f
    LEFT JOIN (
      SELECT t.appearance_id, json_agg(tag_json(t)) AS tags FROM video_tags t GROUP BY t.appearance_id
    ) AS g ON g.appearance_id = a.id
    WHERE a.video_id = ${video}
    ORDER BY f.faces DESC, a.id`);
}
