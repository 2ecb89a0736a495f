import { afterAll, expect, test } from 'bun:test';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unmarkedFields } from '../src/media/fields.ts';

const folder = await mkdtemp(join(tmpdir(), 'fields-'));
afterAll(() => rm(folder, { recursive: true }));

const line = (kind: string, [tff, bff, progressive]: readonly number[]) =>
  `[idet] ${kind} frame detection: TFF: ${tff} BFF: ${bff} Progressive: ${progressive} Undetermined: 3`;

/** An FFmpeg whose `idet` says this of a video of ten seconds. */
async function fieldsOf(single: readonly number[], multi: readonly number[]) {
  const program = join(folder, 'ffmpeg');
  const said = [line('Single', single), line('Multi', multi)].join('\n');
  await Bun.write(program, `#!/bin/sh\ncat >&2 <<'END'\n${said}\nEND\n`);
  await chmod(program, 0o755);
  return unmarkedFields({ program, timeoutSeconds: 10 }, [], 10_000);
}

test.each([
  [[29, 0, 3], [36, 0, 0], 'tff'],
  [[1, 26, 3], [0, 36, 0], 'bff'],
  [[14, 0, 20], [14, 0, 20], 'tff'], // telecine: two frames of five
  [[14, 15, 0], [29, 1, 0], null], // a camera that tilts
  [[0, 7, 19], [0, 13, 23], null], // likewise
  [[0, 7, 0], [0, 7, 0], null],
] as const)('single frames %p, with memory %p: %p', async (single, multi, expected) => {
  expect(await fieldsOf(single, multi)).toBe(expected);
});
