/** What the service answers: the OpenAPI document's types, with embeddings as Float32Array. */

import { errorType, type ErrorAnswer } from './errors.js';
import type { components, paths } from './openapi.js';

type Schemas = components['schemas'];
type With<T, Changed> = Omit<T, keyof Changed> & Changed;

/** One face; what was not asked for is null. */
export type Face = With<
  Schemas['FaceOut'],
  {
    /** Unit vector; null if it was not asked for, or if `error` says why. */
    embedding: Float32Array | null;
  }
>;
export type Detection = With<Schemas['DetectResponse'], { faces: Face[] }>;
export type FileResult = With<
  Schemas['FileResult'],
  {
    faces: Face[];
    /** The error that this file alone would have been; not thrown. */
    error: ErrorAnswer | null;
  }
>;
export type Batch = With<Schemas['BatchResponse'], { results: FileResult[] }>;
export type ComparedImage = With<Schemas['ComparedImage'], { faces: Face[] }>;
/** Who of image `a` is who of image `b`: pairs by descending similarity, and a verdict. */
export type Comparison = With<Schemas['CompareResponse'], { a: ComparedImage; b: ComparedImage }>;
export type Models = Schemas['ModelsResponse'];
export type Health = Schemas['HealthResponse'];

/** What may be asked of every image; the service's own default for what is left out. */
export type Options = With<
  Omit<NonNullable<paths['/detect']['post']['parameters']['query']>, 'embedding_format'>,
  {
    /** Whether embeddings are computed and returned. */
    embeddings?: boolean;
  }
>;

/** Cosine of two faces, -1 to 1, of embeddings that one and the same model has made. */
export function similarity(a: Face | Float32Array, b: Face | Float32Array): number {
  const [one, other] = [embeddingOf(a), embeddingOf(b)];
  if (one.length !== other.length) throw new RangeError('Embeddings of two different models');
  const cosine = one.reduce((sum, value, index) => sum + value * other[index]!, 0);
  return Math.min(1, Math.max(-1, cosine)); // rounding makes 1.0000001 of a face and itself
}

/** An embedding as pgvector reads it: `[0.1,-0.2,…]`. */
export function toVector(face: Face | Float32Array): string {
  return `[${embeddingOf(face).join(',')}]`;
}

function embeddingOf(face: Face | Float32Array): Float32Array {
  if (face instanceof Float32Array) return face;
  if (face.embedding) return face.embedding;
  throw new TypeError(`This face has no embedding: ${face.error ?? 'it was not asked for'}`);
}

export function detection(raw: Schemas['DetectResponse']): Detection {
  return { ...raw, faces: raw.faces.map(face) };
}

export function batch(raw: Schemas['BatchResponse']): Batch {
  return { ...raw, results: raw.results.map(fileResult) };
}

export function comparison(raw: Schemas['CompareResponse']): Comparison {
  return { ...raw, a: comparedImage(raw.a), b: comparedImage(raw.b) };
}

function comparedImage(raw: Schemas['ComparedImage']): ComparedImage {
  return { ...raw, faces: raw.faces.map(face) };
}

function fileResult(raw: Schemas['FileResult']): FileResult {
  return {
    ...raw,
    faces: raw.faces.map(face),
    error: raw.error && fileError(raw.status, raw.error),
  };
}

function fileError(status: number, raw: Schemas['ErrorResponse']): ErrorAnswer {
  return new (errorType(status, raw.code))(raw.detail, { ...raw, status, attempts: 1 });
}

function face(raw: Schemas['FaceOut']): Face {
  return { ...raw, embedding: typeof raw.embedding === 'string' ? decode(raw.embedding) : null };
}

/** base64 of little-endian float32, which is how every machine that runs JavaScript has them. */
function decode(text: string): Float32Array {
  return new Float32Array(Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0)).buffer);
}
