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

/** SQLSTATEs of lost connections, and of a server that ends, has crashed or is starting. */
const LOST = /^(08|57P)/;
/** Of a server whose disk, memory or connections are used up. */
const AT_ITS_LIMITS = /^53/;

/** Whether the database went away under a statement, of which nobody knows whether it happened. */
export const isLost = (error: unknown) =>
  error instanceof SQL.PostgresError &&
  (error.code.startsWith('ERR_POSTGRES_CONNECTION_') || LOST.test(error.errno ?? ''));

/** Whether a statement failed because the database is away, or at its limits, for now. */
export const isAway = (error: unknown) =>
  isLost(error) || (error instanceof SQL.PostgresError && AT_ITS_LIMITS.test(error.errno ?? ''));

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

/** Numbers or truths as PostgreSQL reads an array. */
export const arrayOf = (values: readonly (number | boolean)[]) => `{${values.join(',')}}`;
