import type { Detection, Face } from 'face-service-client';
import type { Context } from '../context.ts';
import { row } from '../database/connect.ts';
import { lockDecisions, stillCurrent, useCurrent } from '../recognition/models.ts';
import { addReference } from '../recognition/references.ts';
import { check, isRefused } from '../recognition/services.ts';
import { enqueue, type Job } from './queue.ts';
import type { Handler } from './worker.ts';

interface Photo {
  id: number;
  creator_id: number;
  file: string;
  queued: boolean;
}

/** A photo to a reference of its creator, or to the reason why not; then its file is deleted. */
export function enrol(context: Context): Handler {
  return async (job, signal) => {
    const photo = await row<Photo>(context.sql`
      SELECT id, creator_id, file, state = 'queued' AS queued FROM photos WHERE id = ${job.subject}`);
    if (!photo) return;
    if (photo.queued) await enrolPhoto(context, job, photo, signal);
    await context.uploads.remove([photo.file]);
  };
}

async function enrolPhoto(context: Context, job: Job, photo: Photo, signal: AbortSignal) {
  const { sql, queue, services, uploads } = context;
  const { client, model } = await useCurrent(sql, services);
  const found = await client
    .detect(Bun.file(uploads.path(photo.file)), { crops: true, attributes: false, signal })
    .catch((error) => {
      if (isRefused(error)) return error.detail as string;
      throw error;
    });
  if (typeof found !== 'string') check(model, found);
  const face = typeof found === 'string' ? found : theFace(found);
  await queue.write(job, async (tx) => {
    await lockDecisions(tx);
    await stillCurrent(tx, model);
    if (!(await row(tx`SELECT id FROM photos WHERE id = ${photo.id}`))) return; // forgotten
    const reason =
      typeof face === 'string'
        ? face
        : await addReference(tx, model, photo.creator_id, {
            embedding: face.embedding!,
            picture: Buffer.from(face.crop!),
            quality: face.quality!.score,
            photo_id: photo.id,
          });
    const state = reason === null ? 'enrolled' : 'refused';
    await tx`UPDATE photos SET state = ${state}, reason = ${reason} WHERE id = ${photo.id}`;
    if (reason === null) await enqueue(tx, 'decide', photo.creator_id);
  });
}

const WORDS: Record<string, string> = {
  too_small: 'it is too small',
  blurred: 'it is blurred',
  extreme_pose: 'it looks too far aside',
  too_dark: 'it is too dark',
  too_bright: 'it is too bright',
  cut_off: 'it is cut off',
  low_confidence: 'it can hardly be made out',
  interlaced: 'it is of two fields of an interlaced video',
  compressed: 'it is compressed too far',
  not_a_face: 'it is perhaps no face',
};

/** Whose photo it is: the face that is by far the largest. Else a sentence. */
export function theFace({ faces }: Pick<Detection, 'faces'>): Face | string {
  const [first, second] = [...faces].sort((a, b) => area(b) - area(a));
  if (!first) return 'No face found';
  if (second && area(second) > area(first) / 2) return 'Several faces: cut out the right one';
  if (first.usable && first.embedding && first.crop) return first;
  const reasons = (first.reasons ?? []).map((reason) => WORDS[reason] ?? reason);
  return `The face is not fit to recognise anybody by: ${reasons.join(', ') || first.error}`;
}

const area = ({ bbox: [x1, y1, x2, y2] }: Face) => (x2 - x1) * (y2 - y1);
