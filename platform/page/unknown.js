import { post } from './api.js';
import { button, clock, count, faces, h } from './elements.js';
import { names, naming } from './naming.js';
import { pageOf } from './pages.js';

/** Unknown people over all videos, to be named; those who were met last come first. */
export async function unknown(query, show) {
  const { items, links } = await pageOf('/groups', query);
  return {
    content: [
      h('h1', {}, 'Unknown people'),
      items.length > 0 ? '' : h('p', {}, 'Nobody: everybody who was seen has a name.'),
      names(),
      h(
        'ul',
        { class: 'cards many' },
        items.map((group) => card(group, show)),
      ),
      ...links,
    ],
  };
}

function card(group, show) {
  const suggested = new Set(group.appearances.flatMap(({ suggestion }) => suggestion?.name ?? []));
  const name = (who) => async () => {
    await post(`/groups/${group.id}/name`, { name: who });
    await show();
  };
  return h(
    'li',
    {},
    faces('faces', group.pictures, count(group.faces, 'face', 'faces')),
    h('p', { class: 'quiet' }, `${count(group.faces, 'face', 'faces')} in `, places(group)),
    [...suggested].map((who) =>
      h(
        'div',
        { class: 'row' },
        h('span', { class: 'suggested' }, 'perhaps'),
        button(who, name(who)),
      ),
    ),
    naming(`/groups/${group.id}/name`, 'Name', show),
  );
}

const places = ({ appearances }) =>
  appearances.flatMap(({ video_id, video, first_ms }, n) => [
    n > 0 ? ', ' : '',
    h('a', { href: `#/videos/${video_id}` }, `${video} at ${clock(first_ms)}`),
  ]);
