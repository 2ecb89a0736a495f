/** The program, and when a run of it ends before its end. */
export interface Ffmpeg {
  program: string;
  /** A run that gives nothing for as long has hung. */
  timeoutSeconds: number;
  signal?: AbortSignal;
}

/** A run whose stdout and stderr are read. The signal kills it. */
export function start({ program, signal }: Ffmpeg, options: string[]) {
  signal?.throwIfAborted();
  return Bun.spawn([program, ...options], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    killSignal: 'SIGKILL',
    ...(signal && { signal }),
  });
}

/** What a run prints to stderr, until its end. */
export async function told(ffmpeg: Ffmpeg, options: string[]): Promise<string> {
  const process = start(ffmpeg, ['-hide_banner', '-nostdin', '-nostats', ...options]);
  try {
    const text = await inTime(ffmpeg, new Response(process.stderr).text());
    ffmpeg.signal?.throwIfAborted();
    return text;
  } finally {
    process.kill('SIGKILL');
  }
}

/**
 * The next thing that a run gives; an error where it takes too long. That is no fault of the file
 * (its disk may be away): another attempt may help.
 */
export async function inTime<T>({ timeoutSeconds, signal }: Ffmpeg, next: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const hung = new Error(`FFmpeg has hung: it gave nothing for ${timeoutSeconds} s`);
  const timer = setTimeout(() => reject(hung), timeoutSeconds * 1000);
  try {
    return await Promise.race([next, late]);
  } catch (error) {
    // A run that was killed says nothing of the file.
    signal?.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
