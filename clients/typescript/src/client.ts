import { base64, form, packed, type Image } from './bodies.js';
import {
  ConnectionFailed,
  errorType,
  NoAnswer,
  TimedOut,
  UnexpectedAnswer,
  type Circumstances,
  type FaceServiceError,
} from './errors.js';
import { detectAll, type Attempted, type Images, type Parallel } from './many.js';
import {
  batch,
  comparison,
  detection,
  embedded,
  grouping,
  type Batch,
  type Comparison,
  type Detection,
  type Embedded,
  type FaceToGroup,
  type Grouping,
  type GroupOptions,
  type Health,
  type KnownFace,
  type Models,
  type Options,
} from './results.js';
import {
  isAway,
  jitterMs,
  LEAST_PAUSE,
  LONGEST_TIMER,
  retryAfterMs,
  sleep,
  TEMPORARY,
  type Retry,
} from './retry.js';

export interface ClientOptions {
  /** Sent as `Authorization: Bearer …`. */
  apiKey?: string;
  /**
   * Milliseconds an attempt may take. 35,000: a little over the service's own REQUEST_TIMEOUT_S of
   * 30, whose 504 says more than a silence.
   */
  timeoutMs?: number;
  /** Milliseconds a call may take, all attempts and pauses together. 120,000. */
  deadlineMs?: number;
  /** How often a call is tried, and the pauses: `{ attempts: 5, baseMs: 250, capMs: 8000 }`. */
  retry?: Partial<Retry>;
  /** A fetch of your own, for a proxy or a trace. */
  fetch?: Fetch;
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface CallOptions {
  /** Ends the call, which rejects with the signal's reason; the service drops the work. */
  signal?: AbortSignal;
  /** The id under which the service logs the call: letters, digits and `._:-`. */
  request_id?: string;
}

interface Call<T> {
  path: string;
  parse: (answer: Answer) => T;
  /** Posted; without one, the call is a GET. */
  body?: Image | FormData | string;
  /** Of the body; a form says it itself. */
  contentType?: string;
  /** Statuses whose answer `parse` reads; any other is an error. */
  accepted?: readonly number[];
  /** Not tried again: it asks how things are right now. */
  once?: boolean;
}

interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

/**
 * Calls a face service. Fields and options have the names of the wire.
 *
 * 429, 500, 504, broken connections and timeouts are tried again; where nobody listens, or a 502 or
 * 503 says that the service is away, it is waited for until the deadline. Anything else is thrown at
 * once. Errors are those of the tree in errors.ts.
 */
export class FaceServiceClient {
  readonly #baseUrl: string;
  readonly #headers: Record<string, string>;
  readonly #timeoutMs: number;
  readonly #deadlineMs: number;
  readonly #retry: Retry;
  readonly #fetch: Fetch;

  /** @param baseUrl where the service is, with the path before its own where it has one */
  constructor(baseUrl = 'http://localhost:8100', options: ClientOptions = {}) {
    const { protocol, href } = new URL(baseUrl);
    if (!/^https?:$/.test(protocol)) {
      throw new TypeError(`baseUrl begins with http:// or https://, not ${protocol}`);
    }
    this.#baseUrl = href.replace(/\/+$/, '');
    this.#headers = options.apiKey ? { Authorization: `Bearer ${options.apiKey}` } : {};
    this.#timeoutMs = options.timeoutMs ?? 35_000;
    this.#deadlineMs = options.deadlineMs ?? 120_000;
    this.#retry = { attempts: 5, baseMs: 250, capMs: 8_000, ...options.retry };
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init));
  }

  /** Every face of an image. */
  async detect(image: Image, options: Options & CallOptions = {}): Promise<Detection> {
    const path = `/detect${queryOf(options)}`;
    // Not as a form, of which Bun reads every file into memory. The bytes say what they are.
    const contentType = 'application/octet-stream';
    return this.#run({ path, body: image, contentType, parse: json(detection) }, options);
  }

  /**
   * Every face of several images, in one request. One result for each, in order: its faces, or an
   * error of its own, which is not thrown. The service takes 32 images at once unless its
   * MAX_BATCH_FILES says otherwise.
   */
  async detectBatch(images: Iterable<Image>, options: Options & CallOptions = {}): Promise<Batch> {
    const path = `/detect/batch${queryOf(options)}`;
    const body = form(Array.from(images, (image) => ['files', image]));
    return this.#run({ path, body, parse: json(batch) }, options);
  }

  /**
   * The same as `detect` through JSON. A string is the image itself, as base64 or as a data: URL;
   * for an image that is not base64 yet, `detect` sends a quarter less.
   */
  async extractEmbedding(
    image: string | Image,
    options: Options & CallOptions = {},
  ): Promise<Detection> {
    const path = `/extract-embedding${queryOf(options)}`;
    const text = typeof image === 'string' ? image : await base64(image);
    const body = JSON.stringify({ image_base64: text });
    const contentType = 'application/json';
    return this.#run({ path, body, contentType, parse: json(detection) }, options);
  }

  /** Who of image `a` is who of image `b`. Embeddings only with `embeddings: true`. */
  async compare(a: Image, b: Image, options: Options & CallOptions = {}): Promise<Comparison> {
    const path = `/compare${queryOf({ embeddings: false, ...options })}`;
    const body = form([
      ['file_a', a],
      ['file_b', b],
    ]);
    return this.#run({ path, body, parse: json(comparison) }, options);
  }

  /**
   * Every face of many images, a few at a time: an answer for each, in their order. Images are taken
   * as they are needed; at most twice `parallel` (4) are held. What cannot be read, or was given up,
   * has its error in its place; a wrong key is thrown.
   */
  detectAll<T extends Image>(
    images: Images<T>,
    { parallel = 4, ...options }: Options & CallOptions & Parallel = {},
  ): AsyncGenerator<Attempted<T, Detection>, void, undefined> {
    return detectAll(images, (image) => this.detect(image, options), parallel);
  }

  /** The embeddings of aligned crops, 112×112, as `crops: true` returns them. */
  async embed(
    crops: Iterable<Image>,
    options: { crops?: boolean } & CallOptions = {},
  ): Promise<Embedded> {
    const path = `/embed${queryOf(options)}`;
    const body = form(Array.from(crops, (crop) => ['files', crop]));
    return this.#run({ path, body, parse: json(embedded) }, options);
  }

  /**
   * The embeddings of faces of an image whose landmarks are known, without detection; where only a
   * box is known, with it. A Face of `detect` may be given as it is.
   */
  async embedFaces(
    image: Image,
    faces: Iterable<KnownFace>,
    options: { crops?: boolean } & CallOptions = {},
  ): Promise<Embedded> {
    const path = `/embed${queryOf(options)}`;
    const body = form([['file', image]]);
    const places = Array.from(faces, ({ landmarks, bbox }) =>
      landmarks ? { landmarks } : { bbox },
    );
    body.append('faces', JSON.stringify(places));
    return this.#run({ path, body, parse: json(embedded) }, options);
  }

  /**
   * Which faces are one person's, from their embeddings: tracks within each source, groups over all.
   * Faces are named by their places in `faces`.
   */
  async group(
    faces: readonly FaceToGroup[],
    { signal, request_id, means = false, ...options }: GroupOptions & CallOptions = {},
  ): Promise<Grouping> {
    const body = form([['embeddings', packed(faces)]]);
    const known = faces.map(({ time, bbox, quality, source }) => ({ time, bbox, quality, source }));
    body.append('faces', new Blob([JSON.stringify(known)]));
    body.append('embedding_format', means ? 'base64' : 'none');
    for (const [name, value] of Object.entries(options)) {
      if (value !== undefined && value !== null) body.append(name, String(value));
    }
    const call = { path: '/group', body, parse: json(grouping) };
    return this.#run(call, { ...(signal && { signal }), ...(request_id && { request_id }) });
  }

  /** The loaded pack and the known ones: licences, thresholds, files. */
  async models(options: CallOptions = {}): Promise<Models> {
    return this.#run({ path: '/models', parse: json((raw: Models) => raw) }, options);
  }

  /** What the service says of itself now, healthy or not. Asked once, not again. */
  async health(options: CallOptions = {}): Promise<Health> {
    const parse = json((raw: Health) => raw);
    return this.#run({ path: '/health', parse, accepted: [200, 503], once: true }, options);
  }

  /** Whether a request would be answered now. False where nobody listens, too. */
  async ready(options: CallOptions = {}): Promise<boolean> {
    const parse = ({ status }: Answer) => status === 200;
    try {
      const call = { path: '/health/ready', parse, accepted: [200, 503], once: true };
      return await this.#run(call, options);
    } catch (error) {
      if (error instanceof NoAnswer) return false;
      throw error;
    }
  }

  async #run<T>(call: Call<T>, { signal, request_id }: CallOptions): Promise<T> {
    const end = performance.now() + this.#deadlineMs;
    const known = { request_id: request_id ?? crypto.randomUUID(), attempts: 0 };
    let counted = 0;
    const headers = new Headers({ ...this.#headers, 'X-Request-ID': known.request_id });
    if (call.contentType) headers.set('Content-Type', call.contentType);
    for (;;) {
      known.attempts += 1;
      const ms = Math.min(this.#timeoutMs, end - performance.now(), LONGEST_TIMER);
      const answer = await this.#exchange(call, headers, known, ms, signal);
      if (!(answer instanceof NoAnswer) && (call.accepted ?? [200]).includes(answer.status)) {
        return this.#parse(call, answer, known);
      }
      const error = answer instanceof NoAnswer ? answer : this.#errorOf(answer, known);
      const asked = answer instanceof NoAnswer ? 0 : retryAfterMs(answer.headers);
      const away = isAway(error);
      if (!away) counted += 1;
      const jitter = jitterMs(this.#retry, known.attempts);
      const pause = asked + (away ? Math.max(jitter, LEAST_PAUSE) : jitter);
      const last = call.once || Math.max(counted, 1) >= this.#retry.attempts;
      const temporary = error.status === null || TEMPORARY.has(error.status);
      if (last || !temporary || performance.now() + pause >= end) throw error;
      await sleep(pause, signal);
    }
  }

  /** One attempt. Rejects with the reason of the caller's signal, and with nothing else. */
  async #exchange(
    call: Call<unknown>,
    headers: Headers,
    known: Known,
    ms: number,
    signal: AbortSignal | undefined,
  ): Promise<Answer | NoAnswer> {
    signal?.throwIfAborted();
    // Not AbortSignal.any and .timeout: on a signal that lives as long as a server they pile up.
    const control = new AbortController();
    const abort = () => control.abort(signal?.reason);
    signal?.addEventListener('abort', abort);
    const timer = setTimeout(() => control.abort(), ms);
    try {
      const response = await this.#fetch(this.#baseUrl + call.path, {
        method: call.body === undefined ? 'GET' : 'POST',
        headers,
        ...(call.body === undefined ? {} : { body: call.body as BodyInit }),
        // Without this, Node keeps a copy of the body, in case it is to be sent elsewhere.
        redirect: 'error',
        signal: control.signal,
      });
      return { status: response.status, headers: response.headers, text: await response.text() };
    } catch (cause) {
      signal?.throwIfAborted();
      const circumstances = { ...known, status: null, code: 'no_answer' };
      if (control.signal.aborted) {
        const detail = `${this.#baseUrl}: no answer within ${Math.round(ms)} ms`;
        return new TimedOut(detail, circumstances, { cause });
      }
      return new ConnectionFailed(`${this.#baseUrl}: ${wordsOf(cause)}`, circumstances, { cause });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  #parse<T>(call: Call<T>, answer: Answer, known: Known): T {
    try {
      return call.parse(answer);
    } catch (cause) {
      throw this.#strange(answer, known, cause);
    }
  }

  /** The error an answer means. */
  #errorOf({ status, headers, text }: Answer, known: Known): FaceServiceError {
    try {
      const { detail, code, request_id } = JSON.parse(text) as Record<string, unknown>;
      if (typeof detail === 'string' && typeof code === 'string') {
        const id = typeof request_id === 'string' ? request_id : known.request_id;
        return new (errorType(status, code))(detail, { ...known, status, code, request_id: id });
      }
    } catch {
      // Not JSON: a proxy's page.
    }
    if (!TEMPORARY.has(status)) return this.#strange({ status, headers, text }, known);
    const code = `http_${status}`;
    return new (errorType(status, code))(`Status ${status}`, { ...known, status, code });
  }

  #strange({ status, text }: Answer, known: Known, cause?: unknown): UnexpectedAnswer {
    const detail = `${this.#baseUrl} gives an answer that is not the face service's: ${text.slice(0, 80)}`;
    return new UnexpectedAnswer(detail, { ...known, status, code: 'unexpected_answer' }, { cause });
  }
}

type Known = Pick<Circumstances, 'request_id' | 'attempts'>;

/** Reads an answer of JSON. */
function json<Raw, T>(parse: (raw: Raw) => T): (answer: Answer) => T {
  return ({ text }) => parse(JSON.parse(text) as Raw);
}

/** Options as query parameters. Embeddings go over the wire as base64: half the bytes. */
function queryOf(options: Options & CallOptions): string {
  const { signal: _, request_id: __, embeddings = true, ...given } = options;
  const query = new URLSearchParams({ embedding_format: embeddings ? 'base64' : 'none' });
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && value !== null) query.set(name, String(value));
  }
  return `?${query}`;
}

/** fetch says "fetch failed" in Node and puts the reason into the cause. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
