export { FaceServiceClient } from './client.js';
export type { Image } from './bodies.js';
export type { CallOptions, ClientOptions, Fetch } from './client.js';
export * from './errors.js';
export { fromVector, similarity, toVector } from './results.js';
export type {
  Batch,
  ComparedImage,
  Comparison,
  Detection,
  Embedded,
  EmbeddedFace,
  Face,
  FaceToGroup,
  FileResult,
  Group,
  Grouping,
  GroupOptions,
  Health,
  KnownFace,
  Models,
  Options,
  Track,
} from './results.js';
export type { Attempted, Images, Parallel } from './many.js';
export type { Retry } from './retry.js';
