/** The client against a server that misbehaves. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  ConnectionFailed,
  DeadlinePassed,
  FaceServiceClient,
  FaceServiceError,
  fromVector,
  InferenceFailed,
  InvalidImage,
  InvalidRequest,
  NotReady,
  Overloaded,
  Refused,
  similarity,
  TimedOut,
  TooLarge,
  toVector,
  Unauthorized,
  Unavailable,
  UnexpectedAnswer,
} from '../src/index.js';
import { jitterMs, retryAfterMs } from '../src/retry.js';
import { file, given, script, settled } from './help.js';

const image = new Uint8Array(700_000).fill(7);
const soon = { retry: { baseMs: 1 } };

/** What a call rejects with. */
async function errorOf(call: Promise<unknown>): Promise<FaceServiceError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof FaceServiceError) return error;
    throw error;
  }
  throw new Error('it was answered');
}

test('key, id and options go along', async () => {
  const { url, seen } = script('well');
  const options = { request_id: 'mine', max_faces: 2, min_score: 0.25, embeddings: false };
  await new FaceServiceClient(`${url}/`, { apiKey: 'secret' }).detect(image, options);
  const [one] = await seen();
  assert.equal(one?.headers['Authorization'] ?? one?.headers['authorization'], 'Bearer secret');
  assert.equal(one?.headers['X-Request-ID'] ?? one?.headers['x-request-id'], 'mine');
  assert.match(one!.path, /\/detect\?embedding_format=none&max_faces=2&min_score=0.25$/);
});

for (const [name, attempts] of [
  ['not-ready-then-well', 2],
  ['each-once', 5],
  ['reset-while-reading', 2],
  ['reset-while-answering', 2],
  ['hang-up-while-answering', 2],
] as const) {
  test(`${name}: tried again, the image from its beginning`, async () => {
    const { url, seen } = script(name);
    assert.equal((await new FaceServiceClient(url, soon).detect(image)).faces.length, 1);
    const requests = await seen();
    assert.equal(requests.length, attempts);
    assert.equal(requests.at(-1)!.received, image.length);
  });
}

for (const [name, type, status, code] of [
  ['no-image', InvalidImage, 400, 'invalid_image'],
  ['bad-request', InvalidRequest, 400, 'invalid_request'],
  ['no-key', Unauthorized, 401, 'unauthorized'],
  ['not-found', Refused, 404, 'not_found'],
  ['too-large', TooLarge, 413, 'too_large'],
] as const) {
  test(`${name}: thrown at once`, async () => {
    const { url, seen } = script(name);
    const error = await errorOf(new FaceServiceClient(url).detect(image, { request_id: 'mine' }));
    assert.equal(error.constructor, type);
    assert.deepEqual(
      [error.status, error.code, error.request_id, error.attempts],
      [status, code, 'mine', 1],
    );
    assert.equal(error.message, `Scripted ${status} (${status} ${code}, request mine, sent once)`);
    assert.equal((await seen()).length, 1);
  });
}

for (const [name, type, status, code] of [
  ['always-busy', Overloaded, 429, 'overloaded'],
  ['failing', InferenceFailed, 500, 'inference_failed'],
  ['late', DeadlinePassed, 504, 'deadline_passed'],
] as const) {
  test(`${name}: thrown when attempts are used up`, async () => {
    const { url, seen } = script(name);
    const client = new FaceServiceClient(url, { retry: { attempts: 3, baseMs: 1 } });
    const error = await errorOf(client.detect(image));
    assert.equal(error.constructor, type);
    assert.deepEqual([error.status, error.code, error.attempts], [status, code, 3]);
    const ids = (await seen()).map(
      (one) => one.headers['X-Request-ID'] ?? one.headers['x-request-id'],
    );
    assert.deepEqual(ids, Array(3).fill(error.request_id), 'one call, one id');
  });
}

for (const [name, type, code] of [
  ['proxy-without-backend', Unavailable, 'http_502'],
  ['not-ready', NotReady, 'not_ready'],
] as const) {
  test(`${name}: waited for until the deadline`, async () => {
    const { url, seen } = script(name);
    const options = { retry: { attempts: 2, baseMs: 1 }, deadlineMs: 3000 };
    const error = await errorOf(new FaceServiceClient(url, options).detect(image));
    if (!(error instanceof TimedOut))
      assert.deepEqual([error.constructor, error.code], [type, code]);
    assert.ok(error.attempts > 2);
    assert.equal((await seen()).length, error.attempts);
    const once = new FaceServiceClient(url, { retry: { attempts: 1 } });
    assert.equal((await errorOf(once.detect(image))).attempts, 1);
  });
}

for (const name of ['somebody-else', 'somebody-elses-404']) {
  test(`${name}: named`, async () => {
    const { url, seen } = script(name);
    const error = await errorOf(new FaceServiceClient(url).detect(image));
    assert.ok(error instanceof UnexpectedAnswer);
    assert.match(error.message, /nginx/);
    assert.equal((await seen()).length, 1);
  });
}

test('Retry-After is waited for', async () => {
  const { url, seen } = script('busy');
  await new FaceServiceClient(url, soon).detect(image);
  const [first, second] = await seen();
  assert.ok(second!.at - first!.at >= 1);
});

test('Retry-After is read as seconds and as a date, by the clock of who wrote it', () => {
  const date = 'Wed, 21 Oct 2015 07:28:00 GMT';
  const read = (headers: Record<string, string>) => retryAfterMs(new Headers(headers));
  assert.equal(read({ 'retry-after': '7' }), 7000);
  assert.equal(read({ 'retry-after': 'Wed, 21 Oct 2015 07:28:03 GMT', date }), 3000);
  assert.equal(read({ 'retry-after': date, date: 'Wed, 21 Oct 2015 08:28:00 GMT' }), 0);
  assert.equal(read({ 'retry-after': date }), 0, 'long ago');
  for (const odd of ['-1', '1e9', 'soon', '', '9'.repeat(400)]) {
    assert.equal(read({ 'retry-after': odd }), 0, odd);
  }
  assert.equal(read({}), 0);
});

test('pauses grow up to their cap, and any part of that is waited', () => {
  const retry = { attempts: 9, baseMs: 250, capMs: 1500 };
  const random = Math.random;
  try {
    Math.random = () => 1;
    assert.deepEqual(
      [1, 2, 3, 4, 9].map((n) => jitterMs(retry, n)),
      [250, 500, 1000, 1500, 1500],
    );
    Math.random = () => 0;
    assert.equal(jitterMs(retry, 9), 0);
  } finally {
    Math.random = random;
  }
});

test('a call may have all the time of the world', async () => {
  const { url } = script('well');
  const client = new FaceServiceClient(url, { timeoutMs: Infinity, deadlineMs: Infinity });
  assert.equal((await client.detect(image)).faces.length, 1);
});

test('a header that cannot be sent is no broken connection', async () => {
  const { url, seen } = script('well');
  const call = new FaceServiceClient(url).detect(image, { request_id: 'a\nb' });
  await assert.rejects(call, TypeError);
  assert.equal((await seen()).length, 0);
});

test('an address that is none is refused at once', () => {
  for (const address of ['localhost:8100', 'ftp://localhost', 'localhost']) {
    assert.throws(() => new FaceServiceClient(address), TypeError);
  }
});

test('no similarity is greater than 1', () => {
  const [one, other] = [new Float32Array([0.8, 0.6001]), new Float32Array([-0.8, -0.6001])];
  assert.equal(similarity(one, one), 1);
  assert.equal(similarity(one, other), -1);
});

test('a vector is read as pgvector writes it', () => {
  const vector = Float32Array.from({ length: 512 }, () => Math.random() - 0.5);
  assert.deepEqual(fromVector(toVector(vector)), vector);
  assert.deepEqual([...fromVector('[1,-2.5]')], [1, -2.5]);
  for (const odd of ['', '1,2', '[]', '[1,]', '[,1]', '[1,x]', '[NaN,1]', '[[1]]']) {
    assert.throws(() => fromVector(odd), RangeError, odd);
  }
});

test('no more images are taken than are needed', async () => {
  const { url } = script('well');
  let taken = 0;
  function* images() {
    for (; taken < 100;) {
      taken += 1;
      yield image;
    }
  }
  for await (const { index, result, error } of new FaceServiceClient(url).detectAll(images(), {
    parallel: 2,
  })) {
    assert.equal(error, null);
    assert.equal(result?.faces.length, 1);
    assert.ok(taken <= index + 5, `${taken} taken for ${index}`);
    if (index === 5) break;
  }
  assert.ok(taken <= 10);
});

test('a wrong key ends many images', async () => {
  const { url } = script('no-key');
  const all = new FaceServiceClient(url).detectAll([image, image, image]);
  await assert.rejects(async () => {
    for await (const _ of all);
  }, Unauthorized);
});

test('no pause is longer than the deadline', async () => {
  const { url, seen } = script('busy-for-an-hour');
  const error = await errorOf(new FaceServiceClient(url, { deadlineMs: 20_000 }).detect(image));
  assert.ok(error instanceof Overloaded);
  assert.equal((await seen()).length, 1);
});

test('nobody there', async () => {
  const options = { retry: { attempts: 2, baseMs: 1 }, deadlineMs: 1000 };
  const error = await errorOf(new FaceServiceClient(given('NOBODY_URL'), options).detect(image));
  assert.ok(error instanceof ConnectionFailed);
  assert.deepEqual([error.status, error.code], [null, 'no_answer']);
  assert.ok(error.attempts > 3, 'waited for until the deadline');
  assert.ok(error.cause);
});

test('silence is a timeout, and tried again', async () => {
  const { url, seen } = script('silence-then-well');
  const client = new FaceServiceClient(url, { timeoutMs: 500, ...soon });
  assert.equal((await client.detect(image)).faces.length, 1);
  await settled(async () => (await seen())[0]!.left);
});

for (const name of ['silence', 'drip']) {
  test(`${name}: the deadline ends a call in the middle`, async () => {
    const { url, seen } = script(name);
    const error = await errorOf(new FaceServiceClient(url, { deadlineMs: 500 }).detect(image));
    assert.ok(error instanceof TimedOut);
    await settled(async () => (await seen())[0]!.left);
  });
}

test('an aborted call hangs up, rejects with the reason, and is not tried again', async () => {
  const { url, seen } = script('silence-then-well');
  const control = new AbortController();
  const client = new FaceServiceClient(url, { retry: { attempts: 1 } });
  const call = client.detect(image, { signal: control.signal });
  await settled(async () => (await seen())[0]?.received! >= image.length);
  const reason = new Error('the user left');
  control.abort(reason);
  await assert.rejects(call, reason);
  await settled(async () => (await seen())[0]!.left);
  assert.equal((await seen()).length, 1);
  assert.equal((await client.detect(image)).faces.length, 1, 'the client lives on');
});

test('an aborted pause ends at once', async () => {
  const { url, seen } = script('busy-for-an-hour');
  const control = new AbortController();
  const client = new FaceServiceClient(url, { deadlineMs: 10_000_000 });
  const call = client.detect(image, { signal: control.signal });
  await settled(async () => (await seen()).length === 1);
  setTimeout(() => control.abort(), 100);
  await assert.rejects(call, { name: 'AbortError' });
});

test('a call whose signal is aborted already is not sent', async () => {
  const { url, seen } = script('well');
  const reason = new Error('too late');
  const call = new FaceServiceClient(url).detect(image, { signal: AbortSignal.abort(reason) });
  await assert.rejects(call, reason);
  assert.equal((await seen()).length, 0);
});

test('a signal that outlives its calls keeps nothing of them', async () => {
  const { url } = script('well');
  let listening = 0;
  const signal = new AbortController().signal;
  const [add, remove] = [signal.addEventListener, signal.removeEventListener];
  signal.addEventListener = (...given: Parameters<typeof add>) => (
    listening++,
    add.apply(signal, given)
  );
  signal.removeEventListener = (...given: Parameters<typeof add>) => (
    listening--,
    remove.apply(signal, given)
  );
  const client = new FaceServiceClient(url);
  for (let call = 0; call < 3; call++) await client.detect(image, { signal });
  assert.equal(listening, 0);
});

test('a big file is never in memory', async () => {
  const { url, seen } = script('well');
  const big = await file(given('BIG_FILE'));
  const before = process.resourceUsage().maxRSS;
  await new FaceServiceClient(url, { timeoutMs: 60_000 }).detect(big);
  const grown = (process.resourceUsage().maxRSS - before) * 1024;
  assert.ok((await seen())[0]!.received >= big.size);
  assert.ok(grown < big.size / 3, `${grown} bytes more for a file of ${big.size}`);
});

test('a name in a batch is the last part of a path', async () => {
  const sizes = [];
  for (const name of ['frame.jpg', '/a/long/way/to/frame.jpg', 'C:\\temp\\frame.jpg']) {
    const { url, seen } = script('well');
    await errorOf(new FaceServiceClient(url).detectBatch([new File([image], name)]));
    sizes.push((await seen())[0]!.received);
  }
  assert.equal(new Set(sizes).size, 1);
});
