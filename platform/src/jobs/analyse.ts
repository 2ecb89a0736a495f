import type { Detection } from 'face-service-client';
import { toVector } from 'face-service-client';
import type { Context } from '../context.ts';
import { row, rows } from '../database/connect.ts';
import { JobFailed } from '../errors.ts';
import { type Frame, frames } from '../media/frames.ts';
import { probe } from '../media/probe.ts';
import { type Model, stillCurrent, useCurrent } from '../recognition/models.ts';
import { check, isRefused } from '../recognition/services.ts';
import { identify } from './identify.ts';
import type { Job } from './queue.ts';
import type { Handler } from './worker.ts';

interface Video {
  id: number;
  file: string;
  analysed_ms: number | null;
  done: boolean;
}
/** A frame with its faces; none where the service refused the picture. */
type Looked = { ms: number; faces: Detection['faces'] | null };

/** Frames that are stored in one transaction: what a kill costs at most. */
const CHUNK = 16;

/** A video: its frames to faces, then its faces to people. Goes on where it was interrupted. */
export function analyse(context: Context): Handler {
  return async (job, signal) => {
    const { sql, config, services, uploads } = context;
    const video = await row<Video>(sql`
      SELECT id, file, analysed_ms, done_at IS NOT NULL AS done FROM videos WHERE id = ${job.subject}`);
    if (!video || video.done) return;
    const path = uploads.path(video.file);
    const ffmpeg = { program: config.FFMPEG, timeoutSeconds: config.FFMPEG_TIMEOUT_S, signal };
    const source = await probe(ffmpeg, path);
    // Of one that does not say how long it is, what has been seen of it.
    const length = source.still ? null : (source.durationMs ?? video.analysed_ms ?? 0);
    await sql`UPDATE videos SET duration_ms = ${length} WHERE id = ${video.id}`;
    const serving = await useCurrent(sql, services);
    const intervalMs = config.FRAME_INTERVAL_MS;
    const first = video.analysed_ms === null ? 0 : Math.floor(video.analysed_ms / intervalMs) + 1;
    const taken = frames(ffmpeg, path, source, {
      intervalMs,
      maxSide: config.MAX_FRAME_SIDE,
      first,
    });

    const times: number[] = [];
    let chunk: Looked[] = [];
    const options = { parallel: config.PARALLEL, crops: true, attributes: false, signal };
    for await (const each of serving.client.detectAll(pictures(taken, times), options)) {
      if (each.error && !isRefused(each.error)) throw each.error;
      if (each.error && source.still)
        throw new JobFailed(`This picture was refused: ${each.error.detail}`);
      if (each.result) check(serving.model, each.result);
      chunk.push({ ms: times.shift()!, faces: each.result?.faces ?? null });
      if (chunk.length < CHUNK) continue;
      await store(context, job, video.id, serving.model, chunk);
      chunk = [];
    }
    if (chunk.length > 0) await store(context, job, video.id, serving.model, chunk);
    await identify(context, job, video.id, serving, signal);
  };
}

async function* pictures(taken: AsyncIterable<Frame>, times: number[]): AsyncGenerator<Uint8Array> {
  for await (const { ms, jpeg } of taken) {
    times.push(ms);
    yield jpeg;
  }
}

/** Frames and their faces, and how far the video is: all of it or nothing. */
async function store(
  { queue }: Context,
  job: Job,
  video: number,
  model: Model,
  chunk: Looked[],
): Promise<void> {
  const faces = chunk.flatMap(({ ms, faces }) =>
    (faces ?? []).filter(({ embedding, crop }) => embedding && crop).map((face) => ({ ms, face })),
  );
  await queue.write(job, async (sql) => {
    await stillCurrent(sql, model);
    const ids = await rows<{ id: number }>(sql`
      SELECT nextval('video_face_detections_id_seq')::integer AS id
      FROM generate_series(1, ${faces.length}::integer)`);
    const detections = faces.map(({ ms, face }, n) => ({
      id: ids[n]!.id,
      video_id: video,
      frame_ms: ms,
      bbox: [...face.bbox],
      det_score: face.det_score,
      quality: face.quality!.score,
      usable: face.usable!,
      picture: Buffer.from(face.crop!),
    }));
    const embeddings = faces.map(({ face }, n) => ({
      model_id: model.id,
      detection_id: ids[n]!.id,
      embedding: toVector(face),
    }));
    if (faces.length > 0) {
      await sql`INSERT INTO video_face_detections ${sql(detections)}`;
      await sql`INSERT INTO video_face_embeddings ${sql(embeddings)}`;
    }
    const skipped = chunk.filter(({ faces }) => faces === null).length;
    const last = chunk.at(-1)!.ms;
    await sql`
      UPDATE videos SET analysed_ms = ${last}, frames = frames + ${chunk.length},
        frames_skipped = frames_skipped + ${skipped},
        duration_ms = CASE WHEN duration_ms < ${last} THEN ${last} ELSE duration_ms END
      WHERE id = ${video}`;
  });
}
