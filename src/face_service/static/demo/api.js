// Requests to the service that serves this page, and what can go wrong with them.

let key = ''; // in memory alone: gone with the page

export function useKey(value) {
  key = value;
}

export function hasKey() {
  return key !== '';
}

/** An error answer, somebody else's perhaps (a proxy's), or none at all: `status` is 0 then. */
export class Problem extends Error {
  constructor(status, answer, retryAfter = null) {
    super(answer?.detail ?? `Something between this page and the service answered with status ${status}`);
    this.status = status;
    this.code = answer?.code;
    this.retryAfter = retryAfter;
  }
}

async function ask(path, options = {}) {
  let response, body;
  try {
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    response = await fetch(path, { headers, cache: 'no-store', ...options });
    body = await response.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    const detail = `Nothing answers at ${location.host}. Is the service running, and the network up?`;
    throw new Problem(0, { code: 'unreachable', detail });
  }
  return { response, body };
}

async function answer(path, options) {
  const { response, body } = await ask(path, options);
  if (!response.ok) {
    throw new Problem(response.status, body, Number(response.headers.get('Retry-After')) || null);
  }
  return { ...body, times: stages(response.headers.get('Server-Timing') ?? '') };
}

/** `decode;dur=1.20, detect;dur=60.00` as [['decode', 1.2], ['detect', 60]]. */
function stages(header) {
  const found = header.matchAll(/([\w-]+);dur=([\d.]+)/g);
  return [...found].map(([, stage, milliseconds]) => [stage, Number(milliseconds)]);
}

function form(fields) {
  const data = new FormData();
  for (const [name, file] of Object.entries(fields)) data.append(name, file, file.name);
  return data;
}

/** What /health says, whether it is well or not. */
export async function health() {
  return (await ask('health')).body;
}

export function models() {
  return answer('models');
}

export function detect(file, signal) {
  return answer('detect', { method: 'POST', body: form({ file }), signal });
}

export function compare(file_a, file_b, signal) {
  return answer('compare', { method: 'POST', body: form({ file_a, file_b }), signal });
}
