-- Who shares a frame with somebody in a video, and so is somebody else. Who is in other videos is
-- never looked at. `seen_together` stays for backends of the former version that still run.
CREATE FUNCTION seen_with(appearance integer) RETURNS SETOF integer LANGUAGE sql STABLE AS $$
  SELECT DISTINCT u.appearance_id
  FROM video_tracks t
  JOIN video_face_detections d ON d.track_id = t.id
  JOIN video_face_detections e ON e.video_id = d.video_id AND e.frame_ms = d.frame_ms
  JOIN video_tracks u ON u.id = e.track_id
  WHERE t.appearance_id = appearance AND u.appearance_id <> appearance
$$;
