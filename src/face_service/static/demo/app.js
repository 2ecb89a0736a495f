// The page: two places for pictures, one answer.

import { compare, detect } from './api.js';
import { faceDetails } from './details.js';
import { html, say, svg } from './dom.js';
import { chooseFile, dropZone, listen } from './intake.js';
import { Door } from './door.js';
import { drawLinks } from './links.js';
import { counterparts, isMatch, markPair, pairList } from './pairs.js';
import { Picture } from './picture.js';
import { curl, showRequest } from './request.js';
import { Stage } from './stage.js';
import { count, duration, fitness, problemDetail, problemTitle, sentence, verdict } from './words.js';

const at = (id) => document.getElementById(id);
const empty = { headline: at('headline').textContent, lead: at('lead').textContent };
const state = { a: null, b: null, answer: null, pair: null };
const HOPELESS = ['invalid_image', 'too_large', 'invalid_request']; // the same picture gets the same answer
const MENDS = [0, 429, 503]; // the service is away, busy, or not ready
let request = new AbortController();

const door = new Door();
const stages = {
  a: new Stage('the first picture', handlers('a')),
  b: new Stage('the second picture', handlers('b')),
};
const touch = matchMedia('(pointer: coarse)').matches; // nothing is dropped there
const first = dropZone({ primary: true,
  title: touch ? 'Show it a photo' : 'Drop a photo here',
  hint: touch ? 'of yours, or take one' : 'or paste one' }, (files) => take(files));
const second = dropZone({ title: 'Who matches whom?',
  hint: touch ? 'Add a second photo' : 'Drop a second photo' }, (files) => take(files, 'b'));
const links = svg('svg', { class: 'links', 'aria-hidden': 'true' });
const details = html('div', { class: 'details' });
const pairs = html('div');
const startOver = html('button', { class: 'quiet', type: 'button', onclick: clear }, 'Start over');

function handlers(side) {
  return { choose: (index) => choose(side, index), replace: () => chooseFile((files) => take(files, side)) };
}

/** Put files where they were dropped, or where there is room; two at once fill both places. */
async function take(files, side = state.a ? 'b' : 'a') {
  const places = side === 'a' && files.length > 1 ? ['a', 'b'] : [side];
  for (const [index, place] of places.entries()) {
    const picture = await Picture.from(files[index]);
    state[place]?.forget();
    state[place] = picture;
    stages[place].show(picture);
  }
  lay();
  at('main').focus({ preventScroll: true }); // the button that was pressed may be gone
  await ask();
}

/** Ask the service about what is on the page. */
async function ask() {
  request.abort();
  request = new AbortController();
  const { signal } = request;
  const { a, b } = state;
  wait(true);
  say('Looking for faces');
  try {
    if (b) showComparison(await compare(a.file, b.file, signal));
    else showFaces(await detect(a.file, signal));
    wait(false);
  } catch (problem) {
    if (problem.name !== 'AbortError') await fail(problem, signal);
  }
}

function wait(busy, failed = false) {
  for (const side of ['a', 'b']) if (state[side]) stages[side].wait(busy, failed);
}

function showFaces(answer) {
  found('a', answer);
  const { faces } = answer;
  const time = `Answered in ${duration(answer.processing_time_ms)}.`;
  headline(`${count(faces.length, 'face')}.`, [fitness(faces), time].filter(Boolean).join(' '));
  showRequest(at('request'), curl('detect', { file: state.a.name }), answer);
  details.replaceChildren();
  at('side').replaceChildren(details, second);
  if (faces.length) choose('a', 0);
}

function showComparison(answer) {
  Object.assign(state, { answer, pair: null });
  for (const side of ['a', 'b']) found(side, answer[side]);
  const matches = counterparts(answer.pairs).filter(isMatch).length;
  headline(`${verdict(answer, matches)}.`, sentence(answer.detail));
  showRequest(at('request'), curl('compare', { file_a: state.a.name, file_b: state.b.name }), answer);
  pairs.replaceChildren(pairList(answer, state, choosePair));
  details.replaceChildren();
  at('side').replaceChildren(pairs, details);
  if (answer.pairs.length) choosePair(answer.pairs[0]);
}

function found(side, { faces, image_width: width, image_height: height }) {
  state[side].measured(width, height);
  stages[side].found(faces);
}

/** Say what is wrong, and go on as soon as that can be: with a key, after a pause, once it is back. */
async function fail(problem, signal) {
  wait(false, true);
  if (HOPELESS.includes(problem.code) && !state.b) forget();
  const detail = problemDetail(problem);
  const mends = MENDS.includes(problem.status);
  headline(`${problemTitle(problem.code)}.`, mends ? `${detail} It is tried again by itself.` : detail);
  if (problem.status >= 500) {
    at('actions').prepend(html('button', { class: 'primary', type: 'button', onclick: ask }, 'Try again'));
  }
  if (await door.mend(problem) && !signal.aborted) await ask();
}

function headline(title, lead) {
  at('headline').textContent = title;
  at('lead').textContent = lead;
  at('actions').replaceChildren(...(state.a ? [startOver] : []));
}

function choose(side, index) {
  stages[side].activate(index);
  const { faces } = stages[side];
  details.replaceChildren(faceDetails(state[side], faces[index], index, faces.length));
  const best = state.answer?.pairs.find((pair) => pair[side] === index);
  if (best) meet(best, side === 'a' ? 'b' : 'a');
}

function choosePair(pair) {
  choose('a', pair.a);
  meet(pair, 'b');
}

/** Point at a pair; `other` is the side where the person does not look. */
function meet(pair, other) {
  state.pair = pair;
  stages[other].activate(pair[other]);
  markPair(pairs, pair);
  connect();
}

function connect() {
  if (state.answer) drawLinks(links, stages, state.answer.pairs, state.pair);
}

/** Lay the page out for no picture, one, or two; what was answered before is gone. */
function lay() {
  const { a, b } = state;
  if (a) document.body.dataset.pictures = b ? '2' : '1';
  else delete document.body.dataset.pictures;
  at('pictures').replaceChildren(a ? stages.a.element : first, ...(b ? [stages.b.element, links] : []));
  state.answer = null;
  links.replaceChildren();
  at('side').replaceChildren();
  at('request').hidden = true;
}

function forget() {
  for (const side of ['a', 'b']) {
    state[side]?.forget();
    state[side] = null;
  }
  lay();
}

function clear() {
  request.abort();
  forget();
  headline(empty.headline, empty.lead);
  first.querySelector('button').focus();
}

new ResizeObserver(connect).observe(at('pictures'));
listen((files, place) => {
  const side = ['a', 'b'].find((name) => stages[name].element === place);
  take(files, side);
});
lay();
door.open();
