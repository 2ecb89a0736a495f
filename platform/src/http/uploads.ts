import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { FastifyRequest } from 'fastify';
import { isLost } from '../database/connect.ts';
import { ApiError, invalid } from './errors.ts';

export interface Upload {
  /** Its name in the folder of uploads. */
  file: string;
  /** As the caller named it. */
  name: string;
  bytes: number;
}

/**
 * Where uploads lie: names in one folder, so that the folder can move. Each begins with the id of the
 * installation whose it is.
 */
export class Uploads {
  constructor(
    private readonly folder: string,
    private readonly installation: string,
  ) {}

  path(file: string): string {
    return join(this.folder, file);
  }

  /**
   * The files of a multipart body, streamed to disk, and what a transaction makes of them. Where it
   * does not happen, or makes nothing of them, they are removed.
   */
  async keep<T>(request: FastifyRequest, work: (received: Upload[]) => Promise<T>): Promise<T> {
    const received = await this.receive(request);
    const remove = () => this.remove(received.map(({ file }) => file));
    const made = await work(received).catch(async (error) => {
      // Perhaps it did happen, then they are in use; else they are swept away one day.
      if (!isLost(error)) await remove();
      throw error;
    });
    if (made === undefined) await remove();
    return made;
  }

  /** All of them or none. */
  private async receive(request: FastifyRequest): Promise<Upload[]> {
    if (!request.isMultipart()) throw invalid('Send the files as multipart/form-data');
    const uploads: Upload[] = [];
    try {
      for await (const part of request.files()) {
        const file = `${this.installation}.${randomUUID()}`;
        uploads.push({ file, name: nameOf(part.filename), bytes: 0 });
        await pipeline(part.file, createWriteStream(this.path(file)));
        uploads.at(-1)!.bytes = (await stat(this.path(file))).size;
        if (part.file.truncated)
          throw new ApiError(413, 'too_large', 'A file is larger than MAX_UPLOAD_MB');
        if (uploads.at(-1)!.bytes === 0) throw invalid(`${uploads.at(-1)!.name} is empty`);
      }
      if (uploads.length === 0) throw invalid('No file in the form');
      return uploads;
    } catch (error) {
      await this.remove(uploads.map(({ file }) => file));
      // The rest is read all the same: who sends everything before they read would wait for good.
      request.raw.unpipe();
      request.raw.resume();
      // What reads the form gives its errors no code; disks, limits and refusals have one.
      if (error instanceof Error && !('code' in error))
        throw invalid(`The form cannot be read: ${error.message}`);
      throw error;
    }
  }

  /**
   * Removes uploads that are older than a day and not in use: left by a backend that was killed. Files
   * of others, or of another database, stay.
   */
  async sweep(inUse: ReadonlySet<string>): Promise<void> {
    for (const file of await readdir(this.folder)) {
      if (inUse.has(file) || !file.startsWith(`${this.installation}.`)) continue;
      const { mtimeMs } = await stat(this.path(file));
      if (Date.now() - mtimeMs > 86_400_000) await this.remove([file]);
    }
  }

  async remove(files: Iterable<string>): Promise<void> {
    for (const file of files) await rm(this.path(file), { force: true });
  }
}

/** As long as a file's name is anywhere; of a longer one its end, which says what it is. */
const LONGEST = 255;

/** A name to show: the last part of a path, without NUL, which PostgreSQL's text cannot hold. */
function nameOf(filename: string | undefined): string {
  const letters = [...basename((filename ?? '').replaceAll('\0', ''))];
  return letters.slice(-LONGEST).join('') || 'unnamed';
}
