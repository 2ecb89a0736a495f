import { get, post } from './api.js';
import { act, form, h } from './elements.js';

/** How sure it is that a name is somebody's, in words. */
export const TAG_STATES = {
  automatic: 'recognised',
  confirmed: 'confirmed',
  suggested: 'perhaps',
  rejected: 'not',
};

/** What `naming` offers; one for each page. */
export const names = () => h('datalist', { id: 'names' });

/** A form that gives somebody a name; known names that contain what is typed are offered. */
export function naming(path, label, show) {
  const offer = async ({ target }) => {
    const known = await get(`/creators?${new URLSearchParams({ name: target.value, limit: 10 })}`);
    const options = known.map(({ name }) => h('option', { value: name }));
    document.querySelector('#names').replaceChildren(...options);
  };
  return form(
    async ({ name }) => {
      await post(path, { name: name.value });
      await show();
    },
    h(
      'label',
      {},
      label,
      h('input', {
        name: 'name',
        list: 'names',
        required: true,
        autocomplete: 'off',
        oninput: (event) => act(() => offer(event)),
      }),
    ),
    h('button', {}, 'Save'),
  );
}
