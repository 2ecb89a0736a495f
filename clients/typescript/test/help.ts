import { randomUUID } from 'node:crypto';
import { openAsBlob } from 'node:fs';

/** A variable that tests/clients/test_typescript.py sets. */
export function given(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: these tests are run by pytest tests/clients`);
  return value;
}

/** A file as the runtime has it without reading it. */
export async function file(path: string): Promise<Blob> {
  const bun = (globalThis as { Bun?: { file(path: string): Blob } }).Bun;
  return bun ? bun.file(path) : openAsBlob(path);
}

/** A request as the misbehaving server saw it. */
export interface Seen {
  path: string;
  headers: Record<string, string>;
  at: number;
  received: number;
  sha256: string;
  left: boolean;
}

/** A base URL at which a script of tests/clients/misbehaving.py begins anew. */
export function script(name: string): { url: string; seen: () => Promise<Seen[]> } {
  const url = `${given('MISBEHAVING_URL')}/${name}/${randomUUID()}`;
  return { url, seen: async () => (await (await fetch(`${url}/seen`)).json()) as Seen[] };
}

/** Wait until `condition` holds. */
export async function settled(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    if (tries > 1500) throw new Error('it did not come to that');
    await new Promise((done) => setTimeout(done, 20));
  }
}
