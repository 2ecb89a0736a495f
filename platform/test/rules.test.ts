import { expect, test } from 'bun:test';
import { readConfig } from '../src/config.ts';
import { theFace } from '../src/jobs/enrol.ts';
import { splitJpegs } from '../src/media/jpegs.ts';
import { parse } from '../src/media/probe.ts';
import { verdict } from '../src/recognition/decide.ts';
import { ofPeople } from '../src/recognition/thresholds.ts';

const limits = { automatic: 0.5, suggested: 0.4, margin: 0.1 };

test.each([
  [0.55, undefined, true, 'automatic'],
  [0.55, 0.44, true, 'automatic'],
  [0.55, 0.46, true, 'suggested'], // two who look alike
  [0.55, 0.1, false, 'suggested'], // no face that is fit for it
  [0.61, 0.1, false, 'automatic'],
  [0.45, 0.1, true, 'suggested'],
  [0.39, 0.1, true, 'none'],
  [undefined, undefined, true, 'none'],
] as const)('similarities %p and %p, usable %p: %p', (first, second, usable, expected) => {
  expect(verdict(first, second, usable, limits)).toBe(expected);
});

const point = (people: number, false_positive_rate: number, similarity: number) => ({
  people,
  false_positive_rate,
  similarity,
  measured: true,
});
const measured = {
  measured_on: 'a test',
  verification: [],
  identification: [
    point(20, 0.1, 0.3),
    point(20, 0.01, 0.4),
    point(1000, 0.001, 0.7),
    point(1000, 0.1, 0.5),
    point(1000, 0.01, 0.6),
  ],
};

test('thresholds lie on a line between, and beyond, the sizes of galleries and the rates that were measured', () => {
  const of = (people: number) => {
    const { automatic, suggested } = ofPeople(measured, people);
    return [automatic.toFixed(3), suggested.toFixed(3)];
  };
  const half = 0.1 * Math.log10(0.01 / 0.003); // of a decade
  const above = (similarity: number) => [
    (similarity + half).toFixed(3),
    (similarity - 0.1).toFixed(3),
  ];
  expect(of(0)).toEqual(above(0.4));
  expect(of(20)).toEqual(above(0.4));
  expect(of(21)).toEqual(above(0.4 + (0.2 * Math.log(21 / 20)) / Math.log(50)));
  expect(of(1000)).toEqual(above(0.6));
  expect(of(50_000)).toEqual(above(0.8));
  expect(of(1e9)).toEqual(['1.000', '1.000']);
});

test('one gallery or one rate is all there is', () => {
  const [one, other] = measured.identification;
  const of = (identification: typeof measured.identification) =>
    ofPeople({ ...measured, identification }, 500);
  expect(of([one!, other!]).suggested).toBeCloseTo(0.3);
  expect(of([one!])).toEqual({ automatic: 0.7, suggested: 0.6 });
});

const head = (line: string) =>
  `Input #0, mov,mp4, from 'x':\n  Duration: 00:01:02.50, start: 0\n  ${line}`;

test('what FFmpeg says of a stream', () => {
  const hdr =
    'Stream #0:0[0x1](und): Video: hevc (Main 10) (hev1 / 0x31766568), yuv420p10le(tv, bt2020nc/bt2020/smpte2084, top first), 1920x1080 [SAR 1:1 DAR 16:9], 16 kb/s';
  expect(parse(head(hdr))).toEqual({
    still: false,
    durationMs: 62_500,
    width: 1920,
    height: 1080,
    matrix: 'bt2020nc',
    transfer: 'smpte2084',
    rgb: false,
    interlaced: 'marked',
  });
  const plain = 'Stream #0:1: Video: h264 (High), yuv420p(tv, bt709, progressive), 720x576, 25 fps';
  expect(parse(head(plain))).toMatchObject({
    matrix: 'bt709',
    transfer: 'bt709',
    interlaced: null,
  });
  const silent = 'Stream #0:0: Video: vp8, yuv420p, 640x360, 25 fps';
  expect(parse(head(silent))).toMatchObject({ matrix: null, transfer: null });
  const rgb = 'Stream #0:0: Video: png, rgba(pc, gbr/unknown/unknown), 64x64, 25 fps';
  expect(parse(head(rgb))).toMatchObject({ rgb: true });
  expect(() => parse(head('Stream #0:0: Audio: mp3, 44100 Hz'))).toThrow('no video or picture');
});

test('pictures are split wherever the pipe breaks them', async () => {
  const pictures = [
    [0xff, 0xd8, 1, 0xff, 0, 2, 0xff, 0xd9],
    [0xff, 0xd8, 3, 0xff, 0xd9],
  ];
  const all = pictures.flat();
  for (let at = 0; at <= all.length; at++) {
    const chunks = [all.slice(0, at), all.slice(at)].filter((chunk) => chunk.length > 0);
    const stream = new ReadableStream<Uint8Array>({
      start(control) {
        for (const chunk of chunks) control.enqueue(Uint8Array.from(chunk));
        control.close();
      },
    });
    const found: number[][] = [];
    for await (const jpeg of splitJpegs(stream)) found.push([...jpeg]);
    expect(found).toEqual(pictures);
  }
});

test('the face of a photo is by far the largest', () => {
  type Faces = Parameters<typeof theFace>[0]['faces'];
  const face = (width: number, more: object = {}) => ({
    bbox: [0, 0, width, 100],
    usable: true,
    embedding: new Float32Array(512),
    crop: new Uint8Array(),
    reasons: [],
    ...more,
  });
  const of = (...faces: object[]) => theFace({ faces: faces as unknown as Faces });
  expect(of()).toBe('No face found');
  expect(of(face(40), face(100))).toMatchObject({ bbox: [0, 0, 100, 100] });
  expect(of(face(60), face(100))).toContain('Several faces');
  expect(of(face(100, { usable: false, reasons: ['blurred'] }))).toContain('it is blurred');
});

test('a wrong setting is named', () => {
  const url = { DATABASE_URL: 'postgres://x/y' };
  expect(readConfig(url)).toMatchObject({ PORT: 3000, FRAME_INTERVAL_MS: 1000 });
  expect(readConfig({ ...url, PORT: '81', TRUST_PROXY: 'true' })).toMatchObject({
    PORT: 81,
    TRUST_PROXY: true,
  });
  expect(() => readConfig({ ...url, PORT: 'many' })).toThrow('PORT');
  expect(() => readConfig({ ...url, JOBS: '-1' })).toThrow('JOBS');
  expect(() => readConfig({})).toThrow('DATABASE_URL');
});
