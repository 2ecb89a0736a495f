import type { FastifyError, FastifyInstance } from 'fastify';
import { isAway } from '../database/connect.ts';

/** An error with a status and a stable word, shown to the caller as it is. */
export class ApiError extends Error {
  constructor(
    readonly statusCode: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export const notFound = (what: string) => new ApiError(404, 'not_found', `No such ${what}`);
export const invalid = (why: string) => new ApiError(400, 'invalid_request', why);

const databaseAway = () => new ApiError(503, 'not_ready', 'The database is away; try again');
const diskFull = () => new ApiError(507, 'disk_full', 'No room for this upload on the disk');
/** Of a disk, a quota, or the size that a file may have. */
const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG'];

const CODES: Record<number, string> = {
  400: 'invalid_request',
  404: 'not_found',
  413: 'too_large',
  415: 'invalid_request',
  429: 'too_many_attempts',
};

/** Every error in the face service's shape: `{ detail, code, request_id }`. */
export function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler((thrown: FastifyError, request, reply) => {
    const error = isAway(thrown)
      ? databaseAway()
      : FULL.includes(thrown.code)
        ? diskFull()
        : thrown;
    const status = error.statusCode ?? 500;
    const meant = error instanceof ApiError;
    if (status >= 500 && !meant) request.log.error(error);
    if (error !== thrown) request.log.warn(thrown);
    const code = meant ? error.code : (CODES[status] ?? 'internal_error');
    const detail = meant || status < 500 ? error.message : 'The server failed; its log says why';
    return reply.code(status).send({ detail, code, request_id: request.id });
  });
  app.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .send({ detail: `No ${request.url}`, code: 'not_found', request_id: request.id }),
  );
}
