/** The bodies of requests. */

import type { FaceToGroup } from './results.js';

/**
 * An image's bytes. A file is not read into memory if it comes as a Blob that knows where it lies:
 * `Bun.file(path)` under Bun, `await fs.openAsBlob(path)` under Node.
 */
export type Image = Blob | ArrayBuffer | Uint8Array;

export function form(files: Iterable<[field: string, image: Image]>): FormData {
  const data = new FormData();
  for (const [field, image] of files) {
    const blob = image instanceof Blob ? image : new Blob([image as BlobPart]);
    data.append(field, blob, nameOf(image));
  }
  return data;
}

/** The last part of a file's name; Bun.file's is its path. */
function nameOf(image: Image): string {
  const name = 'name' in image && typeof image.name === 'string' ? image.name : '';
  return name.split(/[/\\]/).at(-1) || 'image';
}

/** The embeddings of faces one after the other, float32, little-endian. */
export function packed(faces: readonly FaceToGroup[]): Uint8Array {
  const dimension = faces[0]?.embedding.length ?? 0;
  const all = new Float32Array(faces.length * dimension);
  faces.forEach(({ embedding }, place) => {
    if (embedding.length !== dimension) throw new RangeError('Embeddings of two different models');
    all.set(embedding, place * dimension);
  });
  return new Uint8Array(all.buffer);
}

export async function base64(image: Image): Promise<string> {
  const bytes = new Uint8Array(await new Response(image as BodyInit).arrayBuffer());
  let text = '';
  // In pieces: a function takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}
