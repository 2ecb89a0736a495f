// ReDoc fetches a logo of its maker from its maker's server. No page of this service asks another
// host for anything: an image whose address is elsewhere gets none.
const image = HTMLImageElement.prototype;
const { set } = Object.getOwnPropertyDescriptor(image, 'src');

function isHere(value) {
  const { protocol, origin } = new URL(value, location);
  return protocol === 'data:' || origin === location.origin;
}

Object.defineProperty(image, 'src', {
  set(value) {
    if (isHere(value)) set.call(this, value);
  },
});
image.setAttribute = function (name, value) {
  if (name !== 'src' || isHere(value)) Element.prototype.setAttribute.call(this, name, value);
};
