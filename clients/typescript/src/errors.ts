/**
 * Every error this client throws on purpose.
 *
 * FaceServiceError
 * ├── NoAnswer                no answer came; tried again as long as attempts and deadline allow
 * │   ├── ConnectionFailed    no connection, or it broke on the way
 * │   └── TimedOut            no answer within `timeoutMs`, or `deadlineMs` passed
 * ├── UnexpectedAnswer        an answer that is not this service's: a wrong address, a proxy's page
 * └── ErrorAnswer             the service answered with an error
 *     ├── Refused             4xx: would be refused again, and is never tried again
 *     │   ├── InvalidRequest  400
 *     │   │   └── InvalidImage    400, code `invalid_image`: skip this picture
 *     │   ├── Unauthorized    401
 *     │   └── TooLarge        413
 *     └── Unavailable         429 and 5xx: tried again, until attempts or deadline said stop
 *         ├── Overloaded      429
 *         ├── InferenceFailed 500
 *         ├── NotReady        503
 *         └── DeadlinePassed  504
 *
 * A call that its caller aborted rejects with the reason of the caller's signal.
 */

/** What is known of an error. */
export interface Circumstances {
  /** The HTTP status; null where no answer came. */
  status: number | null;
  /** A stable word for programs. */
  code: string;
  /** The id in the service's log. */
  request_id: string;
  /** How often the request was sent. */
  attempts: number;
}

/** Base of everything above. `detail` is a sentence a person can act on. */
export class FaceServiceError extends Error implements Circumstances {
  readonly detail: string;
  readonly status: number | null;
  readonly code: string;
  readonly request_id: string;
  readonly attempts: number;

  constructor(detail: string, known: Circumstances, options?: ErrorOptions) {
    const sent = known.attempts === 1 ? 'sent once' : `sent ${known.attempts} times`;
    const status = known.status === null ? known.code : `${known.status} ${known.code}`;
    super(`${detail} (${status}, request ${known.request_id}, ${sent})`, options);
    this.name = new.target.name;
    this.detail = detail;
    this.status = known.status;
    this.code = known.code;
    this.request_id = known.request_id;
    this.attempts = known.attempts;
  }
}

export class NoAnswer extends FaceServiceError {}
export class ConnectionFailed extends NoAnswer {}
export class TimedOut extends NoAnswer {}
export class UnexpectedAnswer extends FaceServiceError {}
export class ErrorAnswer extends FaceServiceError {}
export class Refused extends ErrorAnswer {}
export class InvalidRequest extends Refused {}
export class InvalidImage extends InvalidRequest {}
export class Unauthorized extends Refused {}
export class TooLarge extends Refused {}
export class Unavailable extends ErrorAnswer {}
export class Overloaded extends Unavailable {}
export class InferenceFailed extends Unavailable {}
export class NotReady extends Unavailable {}
export class DeadlinePassed extends Unavailable {}

const BY_STATUS = new Map<number, typeof ErrorAnswer>([
  [400, InvalidRequest],
  [401, Unauthorized],
  [413, TooLarge],
  [429, Overloaded],
  [500, InferenceFailed],
  [503, NotReady],
  [504, DeadlinePassed],
]);

/** What an answer of this status and code is thrown as. */
export function errorType(status: number, code: string): typeof ErrorAnswer {
  if (code === 'invalid_image') return InvalidImage;
  return BY_STATUS.get(status) ?? (status < 500 ? Refused : Unavailable);
}
