import { type Database, type Queries, row } from '../database/connect.ts';
import {
  type FaceServices,
  type ModelUsed,
  NoService,
  type OperatingPoints,
  type Serving,
  sameSpace,
} from './services.ts';

export interface Model extends ModelUsed {
  id: number;
  operating_points: OperatingPoints | null;
}

/** Held by whatever decides who is who, deletes people or videos, or switches models. */
export const lockDecisions = (sql: Queries) => sql`SELECT pg_advisory_xact_lock(2007319)`;

const modelIn = (sql: Queries, state: 'current' | 'next') =>
  row<Model>(sql`
    SELECT id, pack, recogniser, precision, alignment, operating_points FROM models WHERE state = ${state}`);

/** The model whose embeddings are compared now; undefined before the first. */
export const currentModel = (sql: Queries) => modelIn(sql, 'current');
/** The model that everything is embedded with again, to become the current one. */
export const nextModel = (sql: Queries) => modelIn(sql, 'next');

/** The current model, and a service that computes with it. The first service decides the first. */
export async function useCurrent(
  sql: Database,
  services: FaceServices,
): Promise<Serving & { model: Model }> {
  const known = await currentModel(sql);
  if (known)
    return { client: await services.of(known), model: await measured(sql, services, known) };
  const [first] = await services.serving();
  if (!first) throw new NoService('No face service is ready');
  await register(sql, first.model, 'current');
  return useCurrent(sql, services);
}

/** The next model, and a service that computes with it. */
export async function useNext(
  sql: Database,
  services: FaceServices,
): Promise<Serving & { model: Model }> {
  const model = await nextModel(sql);
  if (!model) throw new NoService('No change of model is under way');
  return { client: await services.of(model), model: await measured(sql, services, model) };
}

/** A ready service's model that is not the current one. */
export async function otherModel(
  sql: Database,
  services: FaceServices,
): Promise<ModelUsed | undefined> {
  const current = await currentModel(sql);
  const serving = await services.serving();
  return serving.find(({ model }) => current && !sameSpace(model, current))?.model;
}

/** Of the transaction's data: throws where the current model has changed since a job began. */
export async function stillCurrent(sql: Queries, model: Model): Promise<void> {
  if ((await currentModel(sql))?.id !== model.id) throw new NoService('The model has changed');
}

/** Makes a model current or next, and the room for its embeddings. */
export async function register(
  sql: Database,
  model: ModelUsed,
  state: 'current' | 'next',
): Promise<void> {
  await sql.begin(async (tx) => {
    await lockDecisions(tx);
    const made = await row<{ id: number }>(tx`
      INSERT INTO models (pack, recogniser, precision, alignment, state)
      SELECT ${model.pack}::text, ${model.recogniser}::text, ${model.precision}::text,
             ${model.alignment}::text, ${state}::text
      WHERE NOT EXISTS (SELECT FROM models WHERE state = ${state})
      ON CONFLICT (recogniser, precision, alignment)
        DO UPDATE SET state = excluded.state, pack = excluded.pack
        WHERE models.state = 'retired'
      RETURNING id`);
    if (made) await tx`SELECT create_space(${made.id})`;
  });
}

/** With the operating points that its service knows today. */
async function measured(sql: Database, services: FaceServices, model: Model): Promise<Model> {
  const { loaded } = await (await services.of(model)).models();
  const points = loaded?.operating_points ?? null;
  await sql`UPDATE models SET operating_points = ${points} WHERE id = ${model.id}`;
  return { ...model, operating_points: points };
}
