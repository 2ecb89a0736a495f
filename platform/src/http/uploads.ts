import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { FastifyRequest } from 'fastify';
import { invalid } from './errors.ts';

export interface Upload {
  /** Its name in the folder of uploads. */
  file: string;
  /** As the caller named it. */
  name: string;
  bytes: number;
}

/** Where uploads lie: names in one folder, so that the folder can move. */
export class Uploads {
  constructor(private readonly folder: string) {}

  path(file: string): string {
    return join(this.folder, file);
  }

  /** The files of a multipart body, streamed to disk; all of them or none. */
  async receive(request: FastifyRequest): Promise<Upload[]> {
    if (!request.isMultipart()) throw invalid('Send the files as multipart/form-data');
    const uploads: Upload[] = [];
    try {
      for await (const part of request.files()) {
        const file = randomUUID();
        uploads.push({ file, name: nameOf(part.filename), bytes: 0 });
        await pipeline(part.file, createWriteStream(this.path(file)));
        uploads.at(-1)!.bytes = (await stat(this.path(file))).size;
        if (part.file.truncated) throw invalid('A file is larger than MAX_UPLOAD_MB');
        if (uploads.at(-1)!.bytes === 0) throw invalid(`${uploads.at(-1)!.name} is empty`);
      }
      if (uploads.length === 0) throw invalid('No file in the form');
      return uploads;
    } catch (error) {
      await this.remove(uploads.map(({ file }) => file));
      throw error;
    }
  }

  /** Removes what is older than a day and not in use: left by a backend that was killed. */
  async sweep(inUse: ReadonlySet<string>): Promise<void> {
    for (const file of await readdir(this.folder)) {
      if (inUse.has(file)) continue;
      const { mtimeMs } = await stat(this.path(file));
      if (Date.now() - mtimeMs > 86_400_000) await this.remove([file]);
    }
  }

  async remove(files: Iterable<string>): Promise<void> {
    for (const file of files) await rm(this.path(file), { force: true });
  }
}

/** A name to show: the last part of a path, without NUL, which PostgreSQL's text cannot hold. */
const nameOf = (filename: string | undefined) =>
  basename((filename ?? '').replaceAll('\0', '')) || 'unnamed';
