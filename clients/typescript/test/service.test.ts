/** The client against the real service. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import {
  FaceServiceClient,
  InvalidImage,
  InvalidRequest,
  similarity,
  toVector,
  Unauthorized,
} from '../src/index.js';
import { file, given } from './help.js';

const url = given('SERVICE_URL');
const client = new FaceServiceClient(url);
const photo = await file(given('PHOTO'));
const other = await file(given('OTHER_PHOTO'));

test('faces are those of the wire', async () => {
  const found = await client.detect(photo, { request_id: 'test-of-the-client' });
  const body = new FormData();
  body.append('file', photo, 'photo.jpg');
  const raw = await (await fetch(`${url}/detect`, { method: 'POST', body })).json();
  assert.equal(found.request_id, 'test-of-the-client');
  assert.equal(found.faces.length, 4);
  assert.deepEqual([found.image_width, found.image_height], [610, 340]);
  assert.equal(found.faces_omitted, 0);
  for (const [index, face] of found.faces.entries()) {
    const { embedding, ...rest } = face;
    const { embedding: numbers, ...rawRest } = raw.faces[index];
    assert.ok(embedding instanceof Float32Array);
    assert.deepEqual(embedding, Float32Array.from(numbers));
    assert.deepEqual(rest, rawRest);
    assert.ok(Math.abs(similarity(face, face) - 1) < 1e-5);
  }
});

test('options reach the service', async () => {
  const [face, ...more] = (
    await client.detect(photo, {
      max_faces: 1,
      embeddings: false,
      landmarks: false,
      quality: false,
    })
  ).faces;
  assert.deepEqual(
    [more.length, face?.embedding, face?.landmarks, face?.quality],
    [0, null, null, null],
  );
  assert.throws(() => similarity(face!, face!), /not asked for/);
  assert.equal((await client.detect(photo, { min_score: 1 })).faces.length, 0);
  await assert.rejects(client.detect(photo, { max_faces: 0 }), InvalidRequest);
  const unknown = { minscore: 0.5 } as object;
  await assert.rejects(client.detect(photo, unknown), /minscore/);
});

test('a Buffer and an ArrayBuffer are images as well', async () => {
  const buffer = await readFile(given('OTHER_PHOTO'));
  const expected = (await client.detect(other, { embeddings: false })).faces;
  assert.equal(expected.length, 6);
  // A Buffer may lie in the middle of a larger ArrayBuffer.
  const middle = new Uint8Array(buffer.length + 10).fill(7);
  middle.set(buffer, 5);
  for (const image of [buffer, middle.subarray(5, -5), middle.slice(5, -5).buffer]) {
    assert.deepEqual((await client.detect(image, { embeddings: false })).faces, expected);
    assert.deepEqual((await client.extractEmbedding(image, { embeddings: false })).faces, expected);
  }
});

test('base64 and a data: URL are taken as text', async () => {
  const text = (await readFile(given('OTHER_PHOTO'))).toString('base64');
  for (const image of [text, `data:image/jpeg;base64,${text}`]) {
    const found = await client.extractEmbedding(image, { max_faces: 2 });
    assert.equal(found.faces.length, 2);
    assert.equal(found.faces[0]?.embedding?.length, 512);
  }
});

test('a bad file of a batch is an error in its place', async () => {
  const { results } = await client.detectBatch([photo, new Uint8Array([1, 2, 3]), other]);
  assert.deepEqual(
    results.map((one) => one.faces.length),
    [4, 0, 6],
  );
  assert.deepEqual(
    results.map((one) => one.status),
    [200, 400, 200],
  );
  assert.ok(results[1]?.error instanceof InvalidImage);
  assert.equal(results[0]?.error, null);
  assert.ok(results[2]?.faces[0]?.embedding instanceof Float32Array);
});

test('who is who, at the threshold of the pack', async () => {
  const found = await client.compare(other, other, { max_faces: 2, request_id: 'compared' });
  assert.equal(found.request_id, 'compared');
  assert.deepEqual([found.a.faces.length, found.b.image_width, found.pairs.length], [2, 1280, 4]);
  assert.deepEqual(found.best, found.pairs[0]);
  assert.ok(found.best && found.best.similarity > 0.99 && found.best.same_person);
  assert.equal(found.threshold.similarity, 0.275);
  assert.equal(found.a.faces[0]?.embedding, null);
  const { a, b } = await client.compare(other, other, { embeddings: true });
  for (const pair of found.pairs) {
    const counted = similarity(a.faces[pair.a]!, b.faces[pair.b]!);
    assert.ok(Math.abs(counted - pair.similarity) < 1e-4);
  }
  await assert.rejects(client.compare(other, new Uint8Array([1])), /file_b/);
});

test('crops are embedded again', async () => {
  const { faces } = await client.detect(photo, { crops: true });
  const crops = faces.map((face) => face.crop!);
  assert.ok(crops.every((crop) => crop instanceof Uint8Array && crop[0] === 0xff));
  const { results } = await client.embed([...crops, new Uint8Array([1])], { crops: true });
  assert.equal(results.length, 5);
  faces.forEach((face, place) => {
    assert.ok(similarity(face, results[place]!.embedding!) > 0.998);
  });
  assert.ok(results[4]?.error instanceof InvalidImage);
  const known = await client.embedFaces(photo, [faces[1]!, { bbox: faces[0]!.bbox }]);
  assert.ok(similarity(faces[1]!, known.results[0]!.embedding!) > 0.9999);
  assert.ok(similarity(faces[0]!, known.results[1]!.embedding!) > 0.9999);
  assert.equal(known.results[0]!.crop, null);
});

test('faces are grouped', async () => {
  const { faces } = await client.detect(photo);
  const seen = [0, 1].flatMap((time) =>
    faces.map(({ embedding, bbox, quality }) => ({
      ...{ embedding: embedding!, bbox, time, source: 'one' },
      quality: quality!.score,
    })),
  );
  const found = await client.group(seen, { means: true, max_gap: 1.5 });
  assert.deepEqual(found.track_labels, [0, 1, 2, 3, 0, 1, 2, 3]);
  assert.deepEqual(found.tracks[1]!.faces, [1, 5]);
  assert.equal(found.tracks[1]!.end, 1);
  assert.equal(found.groups.length, 4);
  const group = found.groups[found.group_labels[2]!]!;
  assert.ok(similarity(group.embedding!, faces[2]!) > 0.9999);
  const one = await client.group([{ embedding: faces[0]!.embedding! }], { group_similarity: 0.5 });
  assert.deepEqual(one.thresholds, { group_similarity: 0.5, track_similarity: 0.242 });
  assert.equal(one.groups[0]!.embedding, null);
});

test('many images are answered in order', async () => {
  const images = [photo, new Uint8Array([1, 2, 3]), photo, photo, photo];
  const found = [];
  for await (const one of client.detectAll(images, { parallel: 2, embeddings: false })) {
    assert.equal(one.image, images[one.index]);
    found.push(one.error ? one.error.constructor : one.result.faces.length);
  }
  assert.deepEqual(found, [4, InvalidImage, 4, 4, 4]);
});

test('a vector for pgvector reads back as the embedding', async () => {
  const [face] = (await client.detect(other, { max_faces: 1 })).faces;
  assert.deepEqual(Float32Array.from(JSON.parse(toVector(face!))), face!.embedding);
});

test('what is no image is an InvalidImage', async () => {
  await assert.rejects(client.detect(new Uint8Array([1]), { request_id: 'a-bad-one' }), (error) => {
    assert.ok(error instanceof InvalidImage);
    assert.deepEqual(
      [error.status, error.code, error.request_id],
      [400, 'invalid_image', 'a-bad-one'],
    );
    return true;
  });
});

test('models, health and readiness', async () => {
  const { loaded, known } = await client.models();
  assert.equal(loaded?.name, 'open');
  assert.ok(known.some((pack) => pack.name === 'buffalo_l'));
  assert.equal((await client.health()).status, 'healthy');
  assert.equal(await client.ready(), true);
  assert.equal(await new FaceServiceClient(given('NOBODY_URL')).ready(), false);
});

test('a key opens', async () => {
  const locked = given('LOCKED_URL');
  await assert.rejects(new FaceServiceClient(locked).models(), Unauthorized);
  const models = await new FaceServiceClient(locked, { apiKey: given('KEY') }).models();
  assert.equal(models.loaded?.name, 'open');
});
