import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { JobFailed } from '../src/errors.ts';
import type { Ffmpeg } from '../src/media/ffmpeg.ts';
import { frames } from '../src/media/frames.ts';
import { parse, probe } from '../src/media/probe.ts';

setDefaultTimeout(60_000); // a busy machine starts programs slowly
const sampling = { intervalMs: 1000, maxSide: 1920, first: 0 };
const source = parse('Input #0, mov, from x\n Stream #0:0: Video: h264, yuv420p, 640x360, 25 fps');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ffmpeg-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A program in FFmpeg's place, which leaves its process id. */
async function standIn(script: string): Promise<string> {
  const program = join(folder, crypto.randomUUID());
  await Bun.write(program, `#!/bin/sh\necho $$ >"$0.pid"\n${script}\n`);
  await chmod(program, 0o755);
  return program;
}

async function expectEnded(program: string): Promise<void> {
  const pid = Number(await Bun.file(`${program}.pid`).text());
  for (let tries = 0; tries < 100; tries++) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await sleep(50);
  }
  throw new Error(`process ${pid} still runs`);
}

const showinfo = (pts: number) => `echo "[Parsed_showinfo_1 @ 0] n: 0 pts: ${pts} " >&2`;
const picture = String.raw`printf '\377\330\377\331'`;

async function take(ffmpeg: Ffmpeg): Promise<number[]> {
  const times: number[] = [];
  for await (const { ms } of frames(ffmpeg, 'video', source, sampling)) {
    times.push(ms);
    await sleep(1500 * ffmpeg.timeoutSeconds); // longer than a frame may take
  }
  return times;
}

test('who takes frames slowly is waited for', async () => {
  const program = await standIn(`${showinfo(0)}; ${picture}; ${showinfo(1000)}; ${picture}`);
  expect(await take({ program, timeoutSeconds: 2 })).toEqual([0, 1000]);
});

test.each([
  'exec sleep 600',
  `${showinfo(0)}; ${picture}; exec sleep 600`,
  `${picture}; exec sleep 600`, // a frame without its time
  'exec >&-; exec sleep 600', // no more frames, and no end
])('one that hangs is killed, and may be tried again: %s', async (script) => {
  const program = await standIn(script);
  const error = await take({ program, timeoutSeconds: 1 }).catch((each) => each);
  expect(error.message).toBe('FFmpeg has hung: it gave nothing for 1 s');
  expect(error).not.toBeInstanceOf(JobFailed);
  await expectEnded(program);
});

test('so is one that looks at a file', async () => {
  const program = await standIn('exec sleep 600');
  await expect(probe({ program, timeoutSeconds: 1 }, 'video')).rejects.toThrow('has hung');
  await expectEnded(program);
});

test('a backend that stops does not wait for it', async () => {
  const program = await standIn('exec sleep 600');
  const stop = new AbortController();
  const ffmpeg = { program, timeoutSeconds: 60, signal: stop.signal };
  setTimeout(() => stop.abort(new Error('the backend stops')), 500);
  await expect(take(ffmpeg)).rejects.toThrow('the backend stops');
  await expect(probe(ffmpeg, 'video')).rejects.toThrow('the backend stops');
  await expectEnded(program);
});
