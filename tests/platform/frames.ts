// Writes the frames of a video as the platform takes them: frames.ts FILE FOLDER INTERVAL_MS FIRST
import { frames } from '../../platform/src/media/frames.ts';
import { probe } from '../../platform/src/media/probe.ts';

const [file, folder, interval, first] = process.argv.slice(2) as [string, string, string, string];
const ffmpeg = { program: 'ffmpeg', timeoutSeconds: 60 };
const source = await probe(ffmpeg, file);
console.log(source.interlaced);
const sampling = { intervalMs: Number(interval), maxSide: 1920, first: Number(first) };
for await (const { ms, jpeg } of frames(ffmpeg, file, source, sampling)) {
  await Bun.write(`${folder}/${ms}.jpg`, jpeg);
}
