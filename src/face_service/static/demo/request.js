// The request that was made, as a line to copy, and where its time went.

import { html, say } from './dom.js';
import { hasKey } from './api.js';
import { duration } from './words.js';

const PLAIN = /^[\p{L}\p{N}._() -]+$/u;

/** The same request by curl. `files`: field → name. */
export function curl(path, files) {
  const key = hasKey() ? ' -H "Authorization: Bearer $API_KEY"' : '';
  const fields = Object.entries(files).map(([field, name]) =>
    ` -F "${field}=@${PLAIN.test(name) ? name : 'photo.jpg'}"`);
  return `curl${key}${fields.join('')} ${new URL(path, location.href).href}`;
}

export function showRequest(section, command, { times: measured, processing_time_ms: total }) {
  const rest = total - measured.reduce((sum, [, value]) => sum + value, 0);
  const times = rest > 0 ? [...measured, ['the rest', rest]] : measured;
  const code = html('code', {}, command);
  const copy = html('button', { type: 'button', onclick: () => copyText(code, copy) }, 'Copy');
  section.hidden = false;
  section.replaceChildren(
    html('div', {}, html('h2', { id: 'request-title' }, 'The same request'),
      html('div', { class: 'command' }, html('pre', {}, code), copy)),
    html('div', {}, html('h2', {}, `Where ${duration(total)} went`), bar(times), stages(times)));
}

function bar(times) {
  const longest = Math.max(...times.map(([, value]) => value));
  return html('div', { class: 'times', 'aria-hidden': 'true' }, times.map(([, value]) => {
    const part = html('span', { class: value === longest ? 'longest' : '' });
    part.style.flexGrow = value;
    return part;
  }));
}

function stages(times) {
  return html('dl', { class: 'stages figures' }, times.map(([stage, value]) =>
    html('div', {}, html('dt', {}, stage), html('dd', {}, duration(value)))));
}

async function copyText(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch { // no clipboard outside HTTPS and localhost: leave it selected
    getSelection().selectAllChildren(code);
    say('The command is selected: copy it with your keyboard');
    return;
  }
  button.textContent = 'Copied';
  say('Copied');
  setTimeout(() => { button.textContent = 'Copy'; }, 2000);
}
