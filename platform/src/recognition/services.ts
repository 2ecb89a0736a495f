import {
  FaceServiceClient,
  FaceServiceError,
  InferenceFailed,
  type Models as ModelsAnswer,
  Refused,
  Unauthorized,
} from 'face-service-client';

/** No face service answers with the model that is wanted; one may be starting. */
export class NoService extends Error {}

export type OperatingPoints = NonNullable<NonNullable<ModelsAnswer['loaded']>['operating_points']>;

/** What a service computes embeddings with. */
export interface ModelUsed {
  pack: string;
  recogniser: string;
  precision: string;
  alignment: string;
}

export interface Serving {
  client: FaceServiceClient;
  model: ModelUsed;
}

/** The face services of the settings; each computes with one model. */
export class FaceServices {
  private readonly clients: FaceServiceClient[];

  constructor(urls: string, apiKey: string | undefined) {
    this.clients = urls
      .split(',')
      .map((url) => new FaceServiceClient(url.trim(), apiKey ? { apiKey } : {}));
  }

  /** Those that are ready, and with what. */
  async serving(): Promise<Serving[]> {
    const asked = this.clients.map(async (client): Promise<Serving[]> => {
      const { model: pack, recogniser, precision, alignment } = await client.health();
      if (!(recogniser && precision && alignment)) return [];
      return [{ client, model: { pack, recogniser, precision, alignment } }];
    });
    const answers = await Promise.allSettled(asked);
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  }

  /** One that computes with a model. */
  async of(model: ModelUsed): Promise<FaceServiceClient> {
    const found = (await this.serving()).find((each) => sameSpace(each.model, model));
    if (found) return found.client;
    throw new NoService(`No face service answers with ${model.pack} (${model.precision}) now`);
  }
}

/** Whether embeddings of two models may be compared. */
export const sameSpace = (a: ModelUsed, b: ModelUsed) =>
  a.recogniser === b.recogniser && a.precision === b.precision && a.alignment === b.alignment;

/** Throws where a service was restarted with another model since it was asked. */
export function check(model: ModelUsed, answer: { model: ModelUsed }): void {
  if (sameSpace(model, answer.model)) return;
  throw new NoService(`The face service has changed to ${answer.model.pack}`);
}

/** Whether an error is about this picture, and not about the service. */
export const isRefused = (error: unknown) =>
  error instanceof Refused && !(error instanceof Unauthorized);

/** Whether an error goes away by waiting. */
export const isTemporary = (error: unknown) =>
  error instanceof NoService ||
  (error instanceof FaceServiceError && !isRefused(error) && !(error instanceof InferenceFailed));
