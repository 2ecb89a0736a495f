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

/** Those of the smallest measured gallery that is not smaller, or of the largest. */
export function ofPeople(points: OperatingPoints, people: number): typeof GUIDANCE {
  const sizes = points.identification.map((point) => point.people);
  const size = Math.min(...sizes.filter((each) => each >= people), Math.max(...sizes));
  const measured = points.identification
    .filter((point) => point.people === size)
    .sort((a, b) => a.false_positive_rate - b.false_positive_rate);
  if (measured.length < 2) return GUIDANCE;
  return { automatic: at(measured, AUTOMATIC_RATE), suggested: at(measured, SUGGESTED_RATE) };
}

/**
 * The similarity that strangers reach at a rate, on the line through the two nearest rates that were
 * measured: far from their middle, similarities of strangers fall off with the logarithm of the rate.
 */
function at(measured: OperatingPoints['identification'], rate: number): number {
  const next = measured.findIndex((point) => point.false_positive_rate >= rate);
  const from = Math.min(Math.max(next - 1, 0), measured.length - 2);
  const [a, b] = [measured[from]!, measured[from + 1]!];
  const decades = (r: number) => Math.log10(r / a.false_positive_rate);
  const slope = (b.similarity - a.similarity) / decades(b.false_positive_rate);
  return Math.min(1, a.similarity + slope * decades(rate));
}
