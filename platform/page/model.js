import { get, post, remove } from './api.js';
import { button, h } from './elements.js';

/** What people are recognised with, and the change to another model. */
export async function model(_, show) {
  const { current, next, thresholds } = await get('/models');
  const change = async () => {
    await post('/models/change');
    await show();
  };
  const content = [
    h('h1', {}, 'Model'),
    h('p', {}, current ? named(current) : 'No face service has been reached yet.'),
    thresholds ? h('p', { class: 'quiet' }, from(thresholds)) : '',
    next ? changing(next, change, show) : button('Change the model', change),
  ];
  return { content, again: next !== null };
}

/** The recogniser by the beginning of its SHA-256, which tells it from any other. */
const named = ({ pack, recogniser, precision }) =>
  `${pack}: recogniser ${recogniser.slice(0, 12)}, ${precision}`;

const from = ({ automatic, suggested, margin }) =>
  `People are recognised from a similarity of ${automatic.toFixed(2)} on, where the next is less ` +
  `similar by ${margin.toFixed(2)}, and suggested from ${suggested.toFixed(2)} on.`;

/** A change under way; one that has failed can be begun again. */
function changing({ pack, done, total, error }, change, show) {
  const stop = async () => {
    if (!confirm(`Stay with the model that is used now, and not change to ${pack}?`)) return;
    await remove('/models/change');
    await show();
  };
  return h(
    'div',
    {},
    h('h2', {}, `Changes to ${pack}`),
    h('progress', { max: total ?? 1, value: done, 'aria-label': 'Embedded' }),
    h('p', { class: 'quiet' }, `${done} of ${total ?? '…'} pictures embedded`),
    error ? h('p', {}, error) : '',
    error ? button('Try again', change) : '',
    button('Stop', stop),
  );
}
