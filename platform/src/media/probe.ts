import { JobFailed } from '../errors.ts';
import { type Ffmpeg, told } from './ffmpeg.ts';
import { unmarkedFields } from './fields.ts';

/** What FFmpeg says of a file's picture. */
export interface Source {
  /** A still picture, which goes to the face service as it is; its size is not looked at. */
  still: boolean;
  durationMs: number | null;
  width: number;
  height: number;
  /** FFmpeg's names; null where the file does not say. */
  matrix: string | null;
  transfer: string | null;
  rgb: boolean;
  /** null: progressive. `marked`: by the file; its frames say which field is first. */
  interlaced: 'marked' | 'tff' | 'bff' | null;
}

/**
 * Containers that are opened. Playlists are none of them: they name further files, on this machine
 * and elsewhere.
 */
const VIDEOS = 'mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,mxf,h264,hevc,ivf,gif';
const STILLS = ['jpeg_pipe', 'png_pipe', 'webp_pipe', 'bmp_pipe', 'tiff_pipe'];

/**
 * What a HEIF or AVIF file says it is, where it is a picture. FFmpeg reads few of them, and takes the
 * tiles of others for videos; the face service reads them.
 */
const HEIF = /^ftyp(hei[cxms]|heif|hev[cxms]|avif|avis|mif[12]|msf1|miaf)/;
const PICTURE: Source = {
  ...{ still: true, durationMs: null, width: 0, height: 0 },
  ...{ matrix: null, transfer: null, rgb: false, interlaced: null },
};

/** Pixels of a picture that is opened: as many as the face service takes by default. */
const MOST_PIXELS = 120_000_000;
/** Of a frame of a video, of which a decoder holds many: the largest of H.264 and HEVC, level 6.2. */
const MOST_PIXELS_OF_VIDEO = 8192 * 4352;

/** The arguments with which FFmpeg reads an upload, of which nothing is trusted. */
export function input(file: string, mostPixels = MOST_PIXELS_OF_VIDEO): string[] {
  const formats = [VIDEOS, ...STILLS].join(',');
  return [
    ...['-protocol_whitelist', 'file', '-format_whitelist', formats],
    ...['-max_pixels', String(mostPixels), '-i', `file:${file}`],
  ];
}

/**
 * Looks at a file's header, and at some frames for fields that it does not mark. Not ffprobe: some
 * packages of FFmpeg do not have it.
 */
export async function probe(ffmpeg: Ffmpeg, file: string): Promise<Source> {
  // First, for a disk that is away shows here in time.
  const text = await told(ffmpeg, input(file, MOST_PIXELS));
  if (HEIF.test(await Bun.file(file).slice(4, 12).text())) return PICTURE;
  const source = parse(text);
  if (source.still) return source;
  if (source.width * source.height > MOST_PIXELS_OF_VIDEO) {
    throw new JobFailed(
      `This file has frames of ${source.width}x${source.height}: too large for a video`,
    );
  }
  if (source.interlaced) return source;
  return { ...source, interlaced: await unmarkedFields(ffmpeg, input(file), source.durationMs) };
}

/** Reads the lines that FFmpeg prints of its input. */
export function parse(text: string): Source {
  const stream = /Stream #0:\d+.*?: Video: (.*)/.exec(text)?.[1];
  const size = stream && /, (\d{2,5})x(\d{2,5})/.exec(stream);
  if (!size) throw new JobFailed('This file is no video or picture that FFmpeg can read');
  // yuv420p10le(tv, bt2020nc/bt2020/smpte2084, top first); one word where all three are the same.
  const format = /, ((?:yuv|gbr|rgb|bgr|gray|nv|p0|pal|mono|argb|abgr)\w*)(?:\(([^)]*)\))?/.exec(
    stream,
  );
  const notes = (format?.[2] ?? '').split(', ');
  const colours = notes.find((note) =>
    /^(bt|smpte|arib|unknown|gbr|fcc|ycgco|iec|film)/.test(note),
  );
  const [matrix, primaries = matrix, transfer = primaries] = colours?.split('/') ?? [];
  return {
    still: STILLS.some((name) => text.includes(`Input #0, ${name}`)),
    durationMs: duration(text),
    width: Number(size[1]),
    height: Number(size[2]),
    matrix: known(matrix),
    transfer: known(transfer),
    rgb: /^(gbr|rgb|bgr|pal|argb|abgr)/.test(format?.[1] ?? ''),
    interlaced: notes.some((note) => /(top|bottom) (first|coded)/.test(note)) ? 'marked' : null,
  };
}

const known = (name: string | undefined) => (name && name !== 'unknown' ? name : null);

function duration(text: string): number | null {
  const found = /Duration: (\d+):(\d+):([\d.]+)/.exec(text);
  if (!found) return null;
  return Math.round((Number(found[1]) * 3600 + Number(found[2]) * 60 + Number(found[3])) * 1000);
}
