/** Many images, a few at a time. */

import { FaceServiceError, Unauthorized } from './errors.js';

export type Images<T> = Iterable<T> | AsyncIterable<T>;

export interface Parallel {
  /** Requests at a time. 4. */
  parallel?: number;
}

/** What came of one image: a result, or the error of it. */
export type Attempted<T, Result> = { index: number; image: T } & (
  { result: Result; error: null } | { result: null; error: FaceServiceError }
);

/** The answers in the order of the images. */
export async function* detectAll<T, Result>(
  images: Images<T>,
  detect: (image: T) => Promise<Result>,
  parallel: number,
): AsyncGenerator<Attempted<T, Result>, void, undefined> {
  if (!(parallel >= 1)) throw new RangeError('parallel is at least 1');
  const waiting: { done: boolean; attempted: Promise<Attempted<T, Result>> }[] = [];
  let running = 0;
  let free = () => {};

  async function attempt(index: number, image: T): Promise<Attempted<T, Result>> {
    try {
      return { index, image, result: await detect(image), error: null };
    } catch (error) {
      if (!(error instanceof FaceServiceError) || error instanceof Unauthorized) throw error;
      return { index, image, result: null, error };
    } finally {
      running -= 1;
      free();
    }
  }

  let index = 0;
  for await (const image of images) {
    running += 1;
    const next = { done: false, attempted: attempt(index++, image) };
    const settled = () => (next.done = true);
    next.attempted.then(settled, settled); // an error is thrown where its turn comes
    waiting.push(next);
    while (running >= parallel) await new Promise<void>((resolve) => (free = resolve));
    while (waiting[0]?.done || waiting.length >= 2 * parallel) yield waiting.shift()!.attempted;
  }
  for (const next of waiting) yield next.attempted;
}
