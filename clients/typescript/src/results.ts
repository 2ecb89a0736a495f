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
    /** The aligned face, 112×112 pixels, as JPEG; null likewise. `embed` takes it. */
    crop: Uint8Array | null;
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
/** A face whose place in an image is known; a Face is one. */
export type KnownFace = { landmarks?: number[][] | null; bbox?: number[] };
export type EmbeddedFace = With<
  Schemas['EmbeddedFace'],
  { embedding: Float32Array | null; crop: Uint8Array | null; error: ErrorAnswer | null }
>;
/** One result for each crop or face, in their order; errors are not thrown. */
export type Embedded = With<Schemas['EmbedResponse'], { results: EmbeddedFace[] }>;

/** A face with what is known of it; quality is `quality.score` of a Face. */
export interface FaceToGroup {
  embedding: Float32Array | readonly number[];
  /** Seconds within the source; faces without a time are not tracked. */
  time?: number | null;
  bbox?: readonly number[] | null;
  quality?: number | null;
  /** Which video the face is from; one and the same where it is left out. */
  source?: string | null;
}
export type Track = With<Schemas['TrackOut'], { embedding: Float32Array | null }>;
export type Group = With<Schemas['GroupOut'], { embedding: Float32Array | null }>;
/** Every face is in one track, and every track in one group. */
export type Grouping = With<Schemas['GroupResponse'], { tracks: Track[]; groups: Group[] }>;
export type GroupOptions = With<
  Omit<NonNullable<paths['/group']['post']['parameters']['query']>, 'embedding_format'>,
  {
    /** Whether the mean embeddings of tracks and groups are returned. */
    means?: boolean;
  }
>;
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

/** What pgvector writes, `[0.1,-0.2,…]`, as an embedding. Throws a RangeError for anything else. */
export function fromVector(text: string): Float32Array {
  const numbers = parsed(text);
  if (!Array.isArray(numbers) || !numbers.length || !numbers.every(Number.isFinite)) {
    throw new RangeError(`Not a vector: ${text.slice(0, 40)}`);
  }
  return Float32Array.from(numbers);
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
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
  return { ...raw, embedding: vector(raw.embedding), crop: bytes(raw.crop) };
}

export function embedded(raw: Schemas['EmbedResponse']): Embedded {
  const results = raw.results.map((one) => ({
    ...one,
    embedding: vector(one.embedding),
    crop: bytes(one.crop),
    error: one.error && fileError(one.status, one.error),
  }));
  return { ...raw, results };
}

export function grouping(raw: Schemas['GroupResponse']): Grouping {
  const tracks = raw.tracks.map((one) => ({ ...one, embedding: vector(one.embedding) }));
  const groups = raw.groups.map((one) => ({ ...one, embedding: vector(one.embedding) }));
  return { ...raw, tracks, groups };
}

function vector(raw: string | number[] | null): Float32Array | null {
  return typeof raw === 'string' ? decode(raw) : null;
}

function bytes(raw: string | null | undefined): Uint8Array | null {
  return raw ? decoded(raw) : null;
}

/** base64 of little-endian float32, which is how every machine that runs JavaScript has them. */
function decode(text: string): Float32Array {
  return new Float32Array(decoded(text).buffer);
}

/** The bytes that base64 stands for. In a loop: a callback for each byte takes seven times as long. */
function decoded(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const found = new Uint8Array(text.length);
  for (let n = 0; n < found.length; n++) found[n] = text.charCodeAt(n);
  return found;
}
