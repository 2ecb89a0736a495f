import type { Config } from '../config.ts';
import { type Queries, row } from '../database/connect.ts';
import type { Model } from './models.ts';
import type { OperatingPoints } from './services.ts';

export interface Thresholds {
  /** From here on somebody is tagged without being asked about. */
  automatic: number;
  /** From here on somebody is suggested. */
  suggested: number;
  /** By how much the first must be nearer than the second to be tagged automatically. */
  margin: number;
}

/** Shares of strangers that may be taken for somebody of the gallery. */
const AUTOMATIC_RATE = 0.003;
const SUGGESTED_RATE = 0.1;
/** InsightFace's guidance, for packs that nobody has measured. */
const GUIDANCE = { automatic: 0.7, suggested: 0.6 };

/**
 * The thresholds of a model for "which of these people?", which grow with their number: the
 * settings', else what was measured of the pack, else InsightFace's guidance.
 */
export async function thresholds(sql: Queries, model: Model, config: Config): Promise<Thresholds> {
  const { people } = (await row<{ people: number }>(
    sql`SELECT count(DISTINCT creator_id)::integer AS people FROM creator_references`,
  ))!;
  const known = model.operating_points ? ofPeople(model.operating_points, people) : GUIDANCE;
  const automatic = config.AUTOMATIC_SIMILARITY ?? known.automatic;
  const suggested = Math.min(automatic, config.SUGGESTED_SIMILARITY ?? known.suggested);
  return { automatic, suggested, margin: config.MARGIN };
}

/**
 * What strangers reach at both rates. Similarities of strangers fall off with the logarithm of the
 * rate, and so grow with that of the number of people: between the sizes and rates that are known,
 * and beyond them, on the line through the nearest two. Fewer people than known count as the fewest.
 */
export function ofPeople({ identification }: OperatingPoints, people: number): typeof GUIDANCE {
  const bySize = Map.groupBy(identification, (point) => point.people);
  const sizes = [...bySize].filter(([, points]) => points.length > 1);
  if (sizes.length === 0) return GUIDANCE;
  const count = Math.max(people, Math.min(...sizes.map(([size]) => size)));
  const reachedAt = (rate: number) => {
    const known = sizes.map(([size, points]): Point => [size, onLine(points.map(byRate), rate)]);
    return Math.min(1, onLine(known, count));
  };
  return { automatic: reachedAt(AUTOMATIC_RATE), suggested: reachedAt(SUGGESTED_RATE) };
}

type Point = [x: number, y: number];
const byRate = (point: OperatingPoints['identification'][number]): Point => [
  point.false_positive_rate,
  point.similarity,
];

/** At x, on the line through the two points around it or nearest to it, over the logarithm of x. */
function onLine(points: Point[], x: number): number {
  const sorted = points.sort(([a], [b]) => a - b);
  const next = sorted.findIndex(([each]) => each >= x);
  const last = Math.max(sorted.length - 2, 0);
  const from = next < 0 ? last : Math.min(Math.max(next - 1, 0), last);
  const [[ax, ay], [bx, by]] = [sorted[from]!, sorted[from + 1] ?? sorted[from]!];
  return ax === bx ? ay : ay + ((by - ay) * Math.log(x / ax)) / Math.log(bx / ax);
}
