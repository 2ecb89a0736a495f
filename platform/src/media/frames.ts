import { JobFailed } from '../errors.ts';
import { type Ffmpeg, inTime, start } from './ffmpeg.ts';
import { filters, type Sampling, seekMs } from './filters.ts';
import { splitJpegs } from './jpegs.ts';
import { input, type Source } from './probe.ts';

export interface Frame {
  /** Since the beginning of the video. */
  ms: number;
  jpeg: Uint8Array;
}

/**
 * The frames of a file, one an interval, with their true times.
 *
 * FFmpeg decodes no faster than they are taken: its pipe is full. Ending the loop ends FFmpeg, and so
 * does a frame that does not come in time; the time until one is taken does not count.
 */
export async function* frames(
  ffmpeg: Ffmpeg,
  file: string,
  source: Source,
  sampling: Sampling,
): AsyncGenerator<Frame> {
  if (source.still) {
    if (sampling.first === 0) yield { ms: 0, jpeg: await Bun.file(file).bytes() };
    return;
  }
  const process = start(ffmpeg, command(file, source, sampling));
  const report = new Report(process.stderr);
  const pictures = splitJpegs(process.stdout);
  const next = async (): Promise<Frame | undefined> => {
    const { value: jpeg } = await pictures.next();
    if (jpeg) return { ms: await report.nextTime(), jpeg };
    if ((await process.exited) !== 0)
      throw new JobFailed(`This file cannot be read to its end: ${await report.lastWords()}`);
    return undefined;
  };
  try {
    for (;;) {
      const frame = await inTime(ffmpeg, next());
      if (!frame) return;
      yield frame;
    }
  } finally {
    // Its end is not waited for: one that waits for a disk cannot be killed before the disk answers.
    process.kill('SIGKILL');
  }
}

function command(file: string, source: Source, sampling: Sampling): string[] {
  // Frames that no other needs are not decoded; of two fields one may be such a frame.
  const skip = source.interlaced ? [] : ['-skip_frame', 'noref'];
  const seek = ['-ss', String(seekMs(sampling) / 1000)];
  return [
    ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'info'],
    ...[...seek, ...skip, ...input(file)],
    ...['-map', '0:v:0', '-vf', filters(source, sampling)],
    // Each frame as it comes; FFmpeg would repeat and drop some for an even rate.
    ...['-fps_mode', 'passthrough'],
    // The default quality moves embeddings of small faces below every threshold.
    ...['-f', 'image2pipe', '-c:v', 'mjpeg', '-q:v', '2', 'pipe:1'],
  ];
}

/** FFmpeg's stderr: the time of each frame by `showinfo`, and what it says beside. */
class Report {
  private readonly times: number[] = [];
  private readonly waiting: ((ms: number) => void)[] = [];
  private others: string[] = [];
  private readonly ended: Promise<void>;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.ended = this.read(stream);
  }

  /** A frame's line is printed before the frame itself. */
  nextTime(): Promise<number> {
    const ms = this.times.shift();
    if (ms !== undefined) return Promise.resolve(ms);
    const next = new Promise<number>((resolve) => this.waiting.push(resolve));
    const none = this.ended.then(() => {
      throw new JobFailed('FFmpeg gave a frame without a time');
    });
    return Promise.race([next, none]);
  }

  async lastWords(): Promise<string> {
    await this.ended;
    return this.others.slice(-3).join('; ');
  }

  private async read(stream: ReadableStream<Uint8Array>): Promise<void> {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      const text = decoder.decode(bytes, { stream: true });
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) this.take(line);
    }
  }

  private take(line: string): void {
    const found = /^\[Parsed_showinfo.*\] n: *\d+ pts: *(-?\d+) /.exec(line);
    if (!found) {
      if (line.trim() && !line.startsWith('[Parsed_showinfo')) {
        this.others = [...this.others.slice(-20), line.trim()];
      }
      return;
    }
    const ms = Math.max(0, Number(found[1]));
    const resolve = this.waiting.shift();
    if (resolve) resolve(ms);
    else this.times.push(ms);
  }
}
