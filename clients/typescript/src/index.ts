export { FaceServiceClient } from './client.js';
export type { CallOptions, ClientOptions, Fetch, Image } from './client.js';
export * from './errors.js';
export { similarity, toVector } from './results.js';
export type {
  Batch,
  ComparedImage,
  Comparison,
  Detection,
  Face,
  FileResult,
  Health,
  Models,
  Options,
} from './results.js';
export type { Retry } from './retry.js';
