/** Talks to the API of the backend. */

/** An answer that is an error; `message` is for people. */
export class Refused extends Error {
  constructor(status, { detail = 'No answer that can be read' } = {}) {
    super(detail);
    this.status = status;
  }
}

async function call(method, path, body) {
  const form = body instanceof FormData;
  const response = await fetch(`/api${path}`, {
    method,
    ...(body && { body: form ? body : JSON.stringify(body) }),
    ...(body && !form && { headers: { 'Content-Type': 'application/json' } }),
  });
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => undefined);
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

export const get = (path) => call('GET', path);
export const post = (path, body) => call('POST', path, body);
export const patch = (path, body) => call('PATCH', path, body);
export const put = (path, body) => call('PUT', path, body);
export const remove = (path) => call('DELETE', path);

/** Files as a form. */
export function filesOf(input) {
  const form = new FormData();
  for (const file of input.files) form.append('files', file);
  return form;
}
