import type { TransactionSQL } from 'bun';
import { SQL } from 'bun';

export type Database = SQL;
/** What a statement runs on: connections of the pool, or one within a transaction. */
export type Queries = SQL | TransactionSQL;

/** PostgreSQL's SQLSTATE of a row whose like is there already. */
const UNIQUE_VIOLATION = '23505';

/** Whether a statement failed because its row may be there once only. */
export const isTaken = (error: unknown) =>
  error instanceof SQL.PostgresError && error.errno === UNIQUE_VIOLATION;

/** A pool of connections. */
export function connect(url: string): Database {
  return new SQL(url, { max: 8, connectionTimeout: 30 });
}

/** The rows of a statement, with the types that its SELECT list says. */
export async function rows<T>(query: Promise<unknown>): Promise<T[]> {
  return [...((await query) as T[])];
}

/** The only row of a statement, or undefined. */
export async function row<T>(query: Promise<unknown>): Promise<T | undefined> {
  return ((await query) as T[])[0];
}
