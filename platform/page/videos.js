import { filesOf, get, post, put, remove } from './api.js';
import { button, clock, cosine, count, faces, form, h } from './elements.js';
import { names, naming, TAG_STATES } from './naming.js';
import { pageOf } from './pages.js';

const STATES = {
  queued: 'waits for its turn',
  analysing: 'is being looked through',
  waiting: 'waits',
  failed: 'failed',
};

/** Videos, newest first, and where to hand in more. */
export async function videos(query, show) {
  const { items, links } = await pageOf('/videos', query);
  const input = h('input', {
    type: 'file',
    name: 'files',
    multiple: true,
    required: true,
    accept: 'video/*,image/*',
  });
  const content = [
    h('h1', {}, 'Videos'),
    form(
      async () => {
        await post('/videos', filesOf(input));
        await show();
      },
      h('label', {}, 'Videos or pictures', input),
      h('button', { class: 'main' }, 'Hand in'),
    ),
    items.length > 0 ? '' : h('p', {}, 'None yet.'),
    h('ul', { class: 'cards' }, items.map(card)),
    ...links,
  ];
  return { content, again: items.some(unfinished) };
}

const unfinished = ({ state }) => state !== 'done' && state !== 'failed';

const card = (each) =>
  h('li', {}, h('a', { href: `#/videos/${each.id}` }, each.name), progress(each));

function progress({ state, error, analysed_ms, duration_ms, frames, frames_skipped }) {
  if (state === 'done') {
    const skipped = frames_skipped > 0 ? `, ${frames_skipped} of them unreadable` : '';
    return h('p', { class: 'quiet' }, `${count(frames, 'frame', 'frames')} looked at${skipped}`);
  }
  const soFar = frames > 0 ? `${count(frames, 'frame', 'frames')} so far` : null;
  const bar =
    // How long it is, some files do not say: then it is as long as it is looked through.
    state === 'analysing' && duration_ms > (analysed_ms ?? 0)
      ? h('progress', { max: duration_ms, value: analysed_ms ?? 0, 'aria-label': 'Looked through' })
      : null;
  return h(
    'div',
    {},
    bar ?? '',
    h('p', { class: 'quiet' }, [STATES[state], error ?? soFar].filter(Boolean).join(': ')),
  );
}

/** One video: who is seen when. */
export async function video(id, show) {
  const found = await get(`/videos/${id}`);
  const player = h('video', { src: `/api/videos/${id}/file`, controls: true, preload: 'metadata' });
  const moving = found.duration_ms !== null;
  const length = Math.max(found.duration_ms ?? 0, 1);
  const content = [
    h('h1', {}, found.name),
    names(),
    h(
      'div',
      { class: 'watch' },
      h('div', {}, moving ? player : picture(found), progress(found), again(found, show)),
      h(
        'ul',
        { class: 'cards' },
        found.people.map((person) => row(found, person, player, length, show)),
      ),
    ),
    button('Delete this video', async () => {
      if (!confirm(`Delete ${found.name}, and all that is known of it?`)) return;
      await remove(`/videos/${id}`);
      location.hash = '#/videos';
    }),
  ];
  return { content, again: unfinished(found) };
}

/** One that failed can be tried again. */
function again({ id, state }, show) {
  if (state !== 'failed') return '';
  return button('Try again', async () => {
    await post(`/videos/${id}/retry`);
    await show();
  });
}

/** A picture; some browsers do not show some kinds. */
function picture({ id }) {
  const unread = h('p', { class: 'quiet' }, 'This browser does not show this kind of picture.');
  const image = h('img', { src: `/api/videos/${id}/file`, alt: '' });
  image.addEventListener('error', () => image.replaceWith(unread));
  return image;
}

function row(video, person, player, length, show) {
  const known = person.tags.find(({ state }) => state !== 'rejected');
  // A suggestion is nobody's name yet.
  const perhaps = known?.state === 'suggested' ? 'Perhaps ' : '';
  const who = known ? perhaps + known.name : 'Somebody unknown';
  const seek = (ms) => {
    player.currentTime = ms / 1000;
    player.focus();
  };
  const spans = person.tracks.map(({ first_ms, last_ms }) =>
    button('', () => seek(first_ms), {
      'aria-label': `${who}, from ${clock(first_ms)} to ${clock(last_ms)}`,
      title: `${clock(first_ms)} to ${clock(last_ms)}`,
      style: `left: ${(100 * first_ms) / length}%; width: ${(100 * (last_ms - first_ms)) / length}%`,
    }),
  );
  return h(
    'li',
    {},
    h('h2', {}, who),
    faces('faces', person.pictures, `Faces of ${who}`),
    video.duration_ms === null ? null : h('div', { class: 'timeline' }, spans),
    person.tags.map((tag) => explained(person, tag, show)),
    naming(`/appearances/${person.appearance_id}/name`, known ? 'Somebody else' : 'Name', show),
  );
}

/** A tag, why, and what can be done about it. */
function explained(person, tag, show) {
  // Of this one: not of all who are tagged so in the video.
  const decide = (state) => async () => {
    await put(`/appearances/${person.appearance_id}/tags/${tag.creator_id}`, { state });
    await show();
  };
  return h(
    'div',
    { class: 'row' },
    h('span', { class: tag.state }, TAG_STATES[tag.state]),
    h('a', { href: `#/people/${tag.creator_id}` }, tag.name),
    h(
      'span',
      { class: 'row' },
      tag.state === 'confirmed'
        ? null
        : button('Confirm', decide('confirmed'), { 'aria-label': `Confirm ${tag.name}` }),
      // What was confirmed by mistake, too.
      tag.state === 'rejected'
        ? null
        : button('Reject', decide('rejected'), { 'aria-label': `Reject ${tag.name}` }),
    ),
    tag.similarity === null ? null : h('p', { class: 'quiet' }, why(person, tag)),
  );
}

export function why({ faces, frames }, { similarity, threshold, second }) {
  const next = second?.name ? `; next is ${second.name} with ${cosine(second.similarity)}` : '';
  return (
    `Similarity ${cosine(similarity)}, at least ${cosine(threshold)} is wanted${next}. ` +
    `${count(faces, 'face', 'faces')} in ${count(frames, 'frame', 'frames')}.`
  );
}
