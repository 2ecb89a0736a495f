import { filesOf, get, patch, post, remove } from './api.js';
import { button, cosine, count, form, h } from './elements.js';
import { TAG_STATES } from './naming.js';
import { pageOf } from './pages.js';

/** Everybody who has a name, newest first; or those whose name contains what is looked for. */
export async function people(query) {
  const { items, links } = await pageOf('/creators', query);
  const content = [
    h('h1', {}, 'People'),
    form(
      async ({ name }) => {
        const { id } = await post('/creators', { name: name.value });
        location.hash = `#/people/${id}`;
      },
      h(
        'label',
        {},
        'Somebody new',
        h('input', { name: 'name', required: true, autocomplete: 'off' }),
      ),
      h('button', { class: 'main' }, 'Add'),
    ),
    form(
      async ({ find }) => {
        location.hash = `#/people?${new URLSearchParams({ name: find.value })}`;
      },
      h('label', {}, 'Find', h('input', { name: 'find', type: 'search', autocomplete: 'off' })),
      h('button', {}, 'Find'),
    ),
    h('ul', { class: 'cards' }, items.map(card)),
    ...links,
  ];
  return { content };
}

const card = ({ id, name, references, videos }) =>
  h(
    'li',
    {},
    h('a', { href: `#/people/${id}` }, name),
    h(
      'p',
      { class: 'quiet' },
      `${count(references, 'reference', 'references')}, in ${count(videos, 'video', 'videos')}`,
    ),
  );

/** Somebody: what they are recognised by, and where they are. */
export async function person(id, show) {
  const found = await get(`/creators/${id}`);
  const input = h('input', {
    type: 'file',
    name: 'files',
    multiple: true,
    required: true,
    accept: 'image/*',
  });
  const content = [
    h('h1', {}, found.name),
    h('h2', {}, 'Recognised by'),
    h(
      'ul',
      { class: 'faces' },
      found.references.map((each) => reference(found, each, show)),
    ),
    form(
      async () => {
        await post(`/creators/${id}/photos`, filesOf(input));
        await show();
      },
      h('label', {}, 'Photos', input),
      h('button', { class: 'main' }, 'Add'),
    ),
    h('ul', {}, found.photos.filter(({ state }) => state !== 'enrolled').map(photo)),
    h('h2', {}, 'Seen in'),
    found.videos.length > 0 ? '' : h('p', { class: 'quiet' }, 'Nowhere yet.'),
    h(
      'ul',
      {},
      found.videos.map((each) =>
        h(
          'li',
          {},
          h('a', { href: `#/videos/${each.id}` }, each.name),
          ' ',
          h('span', { class: each.state }, TAG_STATES[each.state]),
          each.similarity === null ? '' : h('span', { class: 'quiet' }, alike(each)),
        ),
      ),
    ),
    form(
      async ({ name }) => {
        await patch(`/creators/${id}`, { name: name.value });
        await show();
      },
      h(
        'label',
        {},
        'Another name',
        h('input', { name: 'name', required: true, value: found.name, autocomplete: 'off' }),
      ),
      h('button', {}, 'Save'),
    ),
    button('Forget this person', async () => {
      const all = 'their references, and their faces in all videos';
      if (!confirm(`Forget ${found.name}: ${all}? This cannot be taken back.`)) return;
      await remove(`/creators/${id}`);
      location.hash = '#/people';
    }),
  ];
  return { content, again: found.photos.some(({ state }) => state === 'queued') };
}

function reference({ name }, { id, quality, video_id }, show) {
  const from = video_id === null ? 'from a photo' : 'from a video';
  return h(
    'li',
    {},
    h('img', {
      src: `/api/references/${id}/picture`,
      alt: `${name}, ${from}`,
      title: `${from}, quality ${quality.toFixed(2)}`,
    }),
    button(
      'Drop',
      async () => {
        await remove(`/references/${id}`);
        await show();
      },
      { 'aria-label': `Drop the reference ${from} of quality ${quality.toFixed(2)}` },
    ),
  );
}

const alike = ({ similarity }) => ` with a similarity of ${cosine(similarity)}`;

const photo = ({ name, state, reason }) =>
  h('li', {}, `${name}: `, state === 'queued' ? 'is being looked at' : `not taken: ${reason}`);
