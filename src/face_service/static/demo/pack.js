// Whether the service is ready, which pack it has loaded, and what that pack may be used for.

import { health, models } from './api.js';
import { html } from './dom.js';
import { STATES } from './words.js';

const AGAIN_MS = 2000;

/** Watch the service until it is ready, then show its pack. Throws Problem where that needs a key. */
export async function showPack(state, foot) {
  for (;;) {
    const { status, detail } = await health().catch(() => ({ status: 'away' }));
    if (status === 'healthy') break;
    state.dataset.is = status === 'away' || status === 'failed' ? 'away' : 'waiting';
    state.textContent = detail ?? STATES[status] ?? 'Not reachable';
    await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
  state.dataset.is = 'healthy';
  state.textContent = 'Ready';
  const { loaded } = await models();
  state.textContent = `Ready · ${loaded.name}`;
  foot.replaceChildren(html('dl', {}, terms(loaded)), licences(loaded));
  return loaded;
}

function terms(pack) {
  const rows = [
    ['Model pack', pack.name],
    ['Precision', pack.precision],
    ['Computes on', pack.onnx_providers.map((name) => name.replace('ExecutionProvider', '')).join(', ')],
    ['Embedding', `${pack.embedding_dimension} numbers`],
    ['Same person from', threshold(pack)],
  ];
  return rows.map(([term, text]) => html('div', {}, html('dt', {}, term), html('dd', {}, text)));
}

function threshold({ threshold: { similarity } }) {
  return similarity === null ? 'not measured' : String(similarity);
}

function licences(pack) {
  return html('details', {},
    html('summary', {}, `Licence: ${pack.licence}`),
    html('ul', {}, pack.files.map((file) =>
      html('li', {}, `${file.role}, ${file.file}: ${file.licence}`))));
}
