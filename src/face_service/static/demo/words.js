// What the service says in codes, said to a person.

const PROBLEMS = {
  invalid_image: 'This is not a picture that can be read',
  invalid_request: 'The service did not understand the request',
  too_large: 'This picture is too large',
  overloaded: 'The service is busy',
  not_ready: 'The service is not ready yet',
  deadline_passed: 'It took too long',
  unauthorized: 'An API key is needed',
  unreachable: 'The service cannot be reached',
};

const REASONS = {
  too_small: 'too small',
  blurred: 'blurred',
  extreme_pose: 'turned away',
  too_dark: 'too dark',
  too_bright: 'too bright',
  cut_off: 'cut off by the edge',
  low_confidence: 'perhaps no face',
  interlaced: 'combed, of two fields',
  compressed: 'compressed too far',
  not_a_face: 'no face',
};

const VERDICTS = {
  same_person: 'The same person',
  different_people: 'Different people',
  too_poor: 'Too poor to say',
  no_face: 'No face to compare',
  no_threshold: 'No threshold to judge by',
};

export const STATES = {
  starting: 'Loading the models',
  recovering: 'Recovering',
  failed: 'Failed to start',
  draining: 'Shutting down',
};

export function problemTitle(code) {
  return PROBLEMS[code] ?? 'The service failed on this picture';
}

export function reasons(face) {
  return (face.reasons ?? []).map((reason) => REASONS[reason] ?? reason.replaceAll('_', ' ')).join(', ');
}

/** A verdict in a few words; `matches` of the people where a picture shows more than one. */
export function verdict({ verdict: word, a, b }, matches) {
  const crowd = a.faces.length > 1 || b.faces.length > 1;
  if (crowd && word === 'same_person') return `${matches === 1 ? 'One person' : `${matches} people`} in both`;
  if (crowd && word === 'different_people') return 'Nobody is in both';
  return VERDICTS[word] ?? word;
}

export function count(number, noun) {
  const words = { 0: 'No', 1: 'One' };
  return `${words[number] ?? number} ${noun}${number === 1 ? '' : 's'}`;
}

export function duration(value) {
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** "M 48", as it stands on a picture. */
export function brief(face) {
  return [face.gender, face.age].filter((part) => part !== null).join(' ');
}

/** "Man, about 48", or "Face 3" where nothing was estimated. */
export function person(face, index) {
  const gender = { M: 'Man', F: 'Woman' }[face.gender];
  const age = face.age === null ? null : `about ${face.age}`;
  return [gender ?? (age && 'Person'), age].filter(Boolean).join(', ') || `Face ${index + 1}`;
}

/** One face in a sentence, for who hears it. */
export function spoken(face, index, total) {
  const fit = face.usable === false ? `, not fit to be stored: ${reasons(face)}` : '';
  return `Face ${index + 1} of ${total}: ${person(face, index)}, score ${face.det_score.toFixed(2)}${fit}`;
}

/** How many faces are fit to be stored, or nothing where it was not judged. */
export function fitness(faces) {
  const fit = faces.filter((face) => face.usable).length;
  if (!faces.some((face) => typeof face.usable === 'boolean')) return '';
  if (faces.length === 1) return fit ? 'Fit to be stored as a reference.' : 'Not fit to be stored as a reference.';
  const number = { 0: 'None', [faces.length]: 'All' }[fit] ?? fit;
  return `${number} of them ${fit === 1 ? 'is' : 'are'} fit to be stored as a reference.`;
}

/** The service's own sentence about a problem, or one for who looks at this page. */
export function problemDetail({ status, message }) {
  if (status === 401) return 'The picture is sent again with the key that you enter above.';
  return sentence(message);
}

/** A sentence of the service, with the names that pictures have on this page, and a full stop. */
export function sentence(text) {
  const named = text.replaceAll('file_a', 'the first picture').replaceAll('file_b', 'the second picture');
  return named[0].toUpperCase() + named.slice(1).replace(/[^.!?]$/, '$&.');
}
