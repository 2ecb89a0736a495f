import { get } from './api.js';
import { h } from './elements.js';

/** Entries of one page. */
const SIZE = 50;

/**
 * A page of a list of the API, newest first: `items`, and `links` to the pages beside it. `query` is
 * that of the address: `before`, and what else the list takes.
 */
export async function pageOf(list, query) {
  const { before, ...others } = Object.fromEntries(new URLSearchParams(query));
  const asked = (more) => new URLSearchParams({ ...others, ...more }).toString();
  // One more says that there are older ones.
  const found = await get(`${list}?${asked({ ...(before && { before }), limit: SIZE + 1 })}`);
  const items = found.slice(0, SIZE);
  const link = (text, address) => h('p', {}, h('a', { href: `#${address}` }, text));
  const here = location.hash.slice(1).split('?')[0] || '/videos';
  const links = [];
  if (before) links.push(link('Newest', asked() ? `${here}?${asked()}` : here));
  if (found.length > SIZE)
    links.push(link('Older', `${here}?${asked({ before: items.at(-1).id })}`));
  return { items, links };
}
