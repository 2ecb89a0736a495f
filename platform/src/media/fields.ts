import { type Ffmpeg, told } from './ffmpeg.ts';

/** Where frames of a long video are looked at, as shares of its length, and how many at each. */
const PLACES = [0.2, 0.5, 0.8];
const FRAMES = 12;
/** A shorter one is looked at from its beginning. */
const LONG_MS = 15_000;
/**
 * Frames that must be of two fields, and their share of those that can be told: most of interlaced
 * video, two of five of telecine. Of a camera that tilts, some frames look so too (decision 0029).
 */
const FEWEST = 8;
const SHARE = 0.3;
/**
 * How many times as often one order of fields must be seen as the other: it does not change, and in
 * what only looks like fields (drawings, text that runs) both are seen.
 */
const CONSISTENT = 4;

/**
 * Which field is first where frames are of two, by FFmpeg's `idet`, whatever the file says; null if
 * they are not. Much material says nothing, or lost what it said when it was converted. Only what
 * moves can be told: a video that stands still at all places counts as progressive.
 */
export async function unmarkedFields(
  ffmpeg: Ffmpeg,
  input: string[],
  durationMs: number | null,
): Promise<'tff' | 'bff' | null> {
  const long = durationMs !== null && durationMs > LONG_MS;
  const places = long ? PLACES.map((share) => (share * durationMs) / 1000) : [0];
  // One process for all places, for most of what a look costs is its start. Each graph ends behind
  // its frames, or FFmpeg would decode all inputs until the last has enough.
  const graph = `trim=end_frame=${long ? FRAMES : FRAMES * PLACES.length},idet`;
  const text = await told(ffmpeg, [
    ...places.flatMap((place) => [
      // From the keyframe before: those up to the place would be decoded for nothing.
      ...['-noaccurate_seek', '-ss', String(place), '-threads', '1', ...input],
    ]),
    '-filter_complex',
    places.map((_, n) => `[${n}:v:0]${graph}[${n}]`).join(';'),
    ...places.flatMap((_, n) => ['-map', `[${n}]`, '-f', 'null', '-']),
  ]);
  // Each frame by itself: with idet's memory of those before, one that looks so decides for more.
  const count = { TFF: 0, BFF: 0, Progressive: 0 };
  for (const [line] of text.matchAll(/Single frame detection.*/g)) {
    for (const kind of ['TFF', 'BFF', 'Progressive'] as const) {
      count[kind] += Number(new RegExp(`${kind}: *(\\d+)`).exec(line)?.[1] ?? 0);
    }
  }
  const [more, less] = [Math.max(count.TFF, count.BFF), Math.min(count.TFF, count.BFF)];
  const ofTwo = more + less;
  const rare = ofTwo < FEWEST || ofTwo < SHARE * (ofTwo + count.Progressive);
  if (rare || more < CONSISTENT * less) return null;
  return count.TFF === more ? 'tff' : 'bff';
}
