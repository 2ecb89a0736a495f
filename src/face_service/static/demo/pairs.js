// Who matches whom, how much, and from where on it counts.

import { html } from './dom.js';

const SIZE = 44;
const FIRST = 8;
const MORE = 24;

/** Each face with its best counterpart: the best pair of all, the best of the faces left, … */
export function counterparts(pairs) {
  const [a, b] = [new Set(), new Set()];
  return pairs.filter((pair) => {
    if (a.has(pair.a) || b.has(pair.b)) return false;
    a.add(pair.a);
    b.add(pair.b);
    return true;
  });
}

/** Whether two faces are taken for one person's, and that can be relied on. */
export function isMatch(pair) {
  return pair.same_person === true && pair.reliable;
}

function judgement(pair) {
  if (!pair.reliable) return 'too poor to say';
  return { true: 'same person', false: 'below the threshold' }[pair.same_person] ?? '';
}

/** The list of pairs; `choose(pair)` is called when one is pointed at. */
export function pairList(answer, pictures, choose) {
  const { threshold } = answer;
  const best = counterparts(answer.pairs);
  const left = [...best, ...answer.pairs.filter((pair) => !best.includes(pair))];
  const list = html('ol');
  const more = html('button', { class: 'more', type: 'button', onclick: () => show(MORE)?.firstChild.focus() });

  function show(number) {
    const rows = left.splice(0, number).map((pair) => html('li', {}, row(pair)));
    list.append(...rows);
    more.textContent = `Show more (${left.length} pairs left)`;
    more.hidden = left.length === 0;
    return rows[0];
  }
  show(FIRST);

  function row(pair) {
    const word = judgement(pair);
    const canvases = ['a', 'b'].map((side) => {
      const canvas = html('canvas', { 'aria-hidden': 'true' });
      pictures[side].cut(canvas, answer[side].faces[pair[side]].bbox, SIZE);
      return canvas;
    });
    const number = pair.similarity.toFixed(2).replace('-', '−');
    return html('button', { class: isMatch(pair) ? 'pair same' : 'pair', type: 'button',
      'aria-pressed': 'false', 'data-pair': `${pair.a}-${pair.b}`,
      'aria-label': `Face ${pair.a + 1} and face ${pair.b + 1}: similarity ${number}, ${word}`,
      onclick: () => choose(pair), onfocus: () => choose(pair),
      onpointerenter: (event) => event.pointerType === 'mouse' && choose(pair) },
    canvases[0], scale(pair.similarity, threshold.similarity), canvases[1],
    html('span', { class: 'number' }, number), html('span', { class: 'word' }, word));
  }

  return html('section', { class: 'pairs', 'aria-label': 'Who matches whom' },
    html('h2', {}, answer.pairs.length ? 'Who matches whom' : 'Nobody to compare'),
    html('p', {}, meaning(threshold)), list, more);
}

/** Show which pair is meant. */
export function markPair(section, pair) {
  const name = pair && `${pair.a}-${pair.b}`;
  section.querySelectorAll('.pair').forEach((button) =>
    button.setAttribute('aria-pressed', String(button.dataset.pair === name)));
}

function scale(similarity, threshold) {
  const value = html('span', { class: 'value' });
  value.style.width = `${100 * Math.max(0, similarity)}%`;
  const bar = html('span', { class: 'scale', 'aria-hidden': 'true' }, value);
  if (threshold !== null) {
    const mark = html('span', { class: 'threshold' });
    mark.style.left = `${100 * threshold}%`;
    bar.append(mark);
  }
  return bar;
}

function meaning({ similarity, false_match_rate: rate, measured_on: on }) {
  if (similarity === null) return 'This pack has no threshold: similarities are shown, and nothing is concluded from them.';
  const parts = [`The same person from a similarity of ${similarity}, the dashed line.`];
  if (rate !== null) parts.push(`At that line ${percent(rate)} of pairs of different people are taken for one.`);
  if (on) parts.push(`Measured on ${on}.`);
  return parts.join(' ');
}

function percent(rate) {
  return `${(100 * rate).toLocaleString('en', { maximumSignificantDigits: 2 })} %`;
}
