import type { Source } from './probe.ts';

export interface Sampling {
  /** One frame is taken of each interval: the first. */
  intervalMs: number;
  /** Longer side to which larger frames are reduced. */
  maxSide: number;
  /** The interval to begin with, from 0. */
  first: number;
}

/** Where decoding begins: a little before the first interval, for frames that are rounded into it. */
export const seekMs = ({ first, intervalMs }: Sampling) => Math.max(0, first * intervalMs - 5);

/**
 * FFmpeg's filters from decoded frames to the pictures that the face service gets: the first frame
 * of each interval, deinterlaced, with square pixels, as the sRGB colours of JPEG.
 *
 * FFmpeg has turned the frames upright before. `showinfo` prints their times in milliseconds.
 */
export function filters(source: Source, sampling: Sampling): string {
  const interval = `floor(pts/${sampling.intervalMs})`;
  const before = `floor(prev_selected_pts/${sampling.intervalMs})`;
  return [
    // Before frames are taken out: it needs the neighbours.
    ...deinterlace(source),
    // From the beginning of the file again, wherever decoding began.
    ...['settb=1/1000', `setpts=PTS+${seekMs(sampling)}`],
    `select='gte(${interval},${sampling.first})*(isnan(prev_selected_pts)+gt(${interval},${before}))'`,
    ...toneMap(source),
    toJpeg(source, sampling.maxSide),
    ...['setsar=1', 'format=yuvj420p', 'showinfo=checksum=0'],
  ].join(',');
}

/** Where the file marks fields, frames that are not marked pass. */
function deinterlace({ interlaced }: Source): string[] {
  if (interlaced === null) return [];
  return [
    interlaced === 'marked' ? 'yadif=deint=interlaced' : `yadif=parity=${interlaced}:deint=all`,
  ];
}

const isHdr = ({ transfer }: Source) => transfer === 'smpte2084' || transfer === 'arib-std-b67';

/** HDR to the range of a screen, in linear light. Reference white is 203 cd/m² (BT.2408). */
function toneMap(source: Source): string[] {
  if (!isHdr(source)) return [];
  return ['zscale=t=linear:npl=203', 'format=gbrpf32le', 'zscale=p=bt709', 'tonemap=clip'];
}

/** To JPEG's matrix (BT.601) and full range; FFmpeg by itself relabels BT.709 and converts nothing. */
function toJpeg(source: Source, maxSide: number): string {
  const fit = `min(1,${maxSide}/max(iw*sar,ih))`;
  const size = `w='2*trunc(iw*sar*${fit}/2)':h='2*trunc(ih*${fit}/2)'`;
  if (isHdr(source)) return `zscale=${size}:m=170m:r=pc:t=iec61966-2-1`;
  // What does not say its matrix has, by custom, that of its size.
  const unsaid = source.matrix === null && !source.rgb;
  const from = source.height > 576 ? '709' : '170m';
  return `zscale=${size}:m=170m:r=pc${unsaid ? `:min=${from}` : ''}`;
}
