/** When a request is sent again: after which answers, after which pause. */

import { NoAnswer, type FaceServiceError } from './errors.js';

/** How often a request is sent, and how long the pauses between are. */
export interface Retry {
  /**
   * At most so many; 1 is never again. Where the service is away (see `isAway`), it is waited for
   * until the deadline, and that counts for none.
   */
  attempts: number;
  /**
   * The pause after the n-th attempt is any between 0 and min(capMs, baseMs * 2 ** (n - 1)) with
   * equal chance ("full jitter": callers who were refused together do not come back together), on
   * top of what Retry-After asks for.
   */
  baseMs: number;
  capMs: number;
}

/** Statuses that may be another one next time; 502 is a proxy's word for a broken connection. */
export const TEMPORARY: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/** What a connection that nobody took is called by Node and by Bun. */
const REFUSED = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ConnectionRefused']);

/**
 * Whether nobody answers for the service, or it says that it does not serve now: it starts, ends, or
 * is replaced. Nothing is known against the request then.
 */
export function isAway(error: FaceServiceError): boolean {
  if (!(error instanceof NoAnswer)) {
    return error.status === 502 || (error.status === 503 && error.code !== 'out_of_memory');
  }
  const codes = [error.cause, error.cause instanceof Error && error.cause.cause].map((cause) =>
    cause instanceof Error && 'code' in cause ? String(cause.code) : '',
  );
  return codes.some((code) => REFUSED.has(code));
}

/** Least milliseconds between two attempts at a service that is away. */
export const LEAST_PAUSE = 100;

/** What setTimeout takes at most; it takes more for none at all. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** Milliseconds to wait after the `attempt`-th, counted from 1, on top of what was asked for. */
export function jitterMs(retry: Retry, attempt: number): number {
  return Math.random() * Math.min(retry.capMs, retry.baseMs * 2 ** (attempt - 1));
}

/**
 * Milliseconds a Retry-After header asks for, written as seconds or as a date; 0 without one. A
 * date is held against the answer's own Date: the two clocks need not agree.
 */
export function retryAfterMs(headers: Headers): number {
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^[0-9]{1,9}$/.test(value)) return Number(value) * 1000;
  const now = headers.has('date') ? Date.parse(headers.get('date')!) : Date.now();
  const wait = Date.parse(value) - now;
  return wait > 0 ? wait : 0;
}

/** Wait. Rejects with the signal's reason as soon as it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      },
      Math.min(ms, LONGEST_TIMER),
    );
    signal?.addEventListener('abort', abort, { once: true });
  });
}
