import { Type } from 'typebox';

/** What requests and answers look like; the OpenAPI document is made of them. */

export const nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
/** Of PostgreSQL's integer. */
const MOST = 2 ** 31 - 1;
const id = Type.Integer({ minimum: 1, maximum: MOST });
const similarity = Type.Number({ description: 'Cosine, -1 to 1' });
const time = Type.String({ format: 'date-time' });

export const Id = Type.Object({ id });
export const IdAndCreator = Type.Object({ id, creator: id });
/** A part of a list that is ordered by falling ids. */
export const Page = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 500, description: 'Most of them; 50 if not given' }),
  ),
  before: Type.Optional(
    Type.Integer({ minimum: 1, maximum: MOST, description: 'Only those of smaller ids' }),
  ),
});
/** The newest ids that are asked for: the last of them, and how many. */
export const newest = ({ before, limit = 50 }: Type.Static<typeof Page>) => ({
  last: before ? before - 1 : MOST,
  limit,
});
export const NEWEST_FIRST = 'newest first, in pages: `before` is the last id of the page before';
export const CreatorPage = Type.Object({
  ...Page.properties,
  name: Type.Optional(
    Type.String({
      maxLength: 200,
      pattern: '^[^\\u0000]*$',
      description: 'Only those whose name contains it',
    }),
  ),
});
/** Without NUL, which PostgreSQL's text cannot hold. */
export const Name = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$',
});

export const Login = Type.Object({
  name: Type.String({ maxLength: 200, pattern: '^[^\\u0000]*$' }),
  password: Type.String({ maxLength: 200 }),
});
export const User = Type.Object({ name: Type.String() });

export const ErrorAnswer = Type.Object({
  detail: Type.String({ description: 'A sentence' }),
  code: Type.String({ description: 'A stable word' }),
  request_id: Type.String(),
});

export const TagState = Type.Enum(['automatic', 'suggested', 'confirmed', 'rejected']);
export const Decision = Type.Object({ state: Type.Enum(['confirmed', 'rejected']) });

export const Tag = Type.Object({
  creator_id: id,
  name: Type.String(),
  state: TagState,
  similarity: nullable(similarity),
  threshold: nullable(similarity),
  second: nullable(Type.Object({ name: nullable(Type.String()), similarity })),
});

export const Person = Type.Object({
  appearance_id: id,
  group_id: nullable(id),
  usable: Type.Boolean({ description: 'Whether a face is fit to recognise somebody by' }),
  faces: Type.Integer(),
  frames: Type.Integer(),
  pictures: Type.Array(id, {
    description: 'Faces that were kept, best first: /api/faces/{id}/picture',
  }),
  tracks: Type.Array(Type.Object({ first_ms: Type.Integer(), last_ms: Type.Integer() })),
  tags: Type.Array(Tag),
});

export const Video = Type.Object({
  id,
  name: Type.String(),
  bytes: Type.Number(),
  state: Type.Enum(['queued', 'analysing', 'waiting', 'done', 'failed']),
  error: nullable(Type.String()),
  duration_ms: nullable(Type.Integer()),
  analysed_ms: nullable(Type.Integer()),
  frames: Type.Integer(),
  frames_skipped: Type.Integer(),
  created_at: time,
});
export const VideoWithPeople = Type.Intersect([Video, Type.Object({ people: Type.Array(Person) })]);
export const VideoFaces = Type.Array(
  Type.Object({
    id,
    frame_ms: Type.Integer(),
    bbox: Type.Array(Type.Number()),
    appearance_id: nullable(id),
  }),
);

export const Photo = Type.Object({
  id,
  name: Type.String(),
  state: Type.Enum(['queued', 'enrolled', 'refused']),
  reason: nullable(Type.String()),
});
export const Reference = Type.Object({
  id,
  quality: Type.Number(),
  photo_id: nullable(id),
  video_id: nullable(id),
  created_at: time,
});
export const Creator = Type.Object({
  id,
  name: Type.String(),
  references: Type.Integer(),
  videos: Type.Integer(),
});
export const CreatorInFull = Type.Object({
  id,
  name: Type.String(),
  references: Type.Array(Reference),
  photos: Type.Array(Photo),
  videos: Type.Array(
    Type.Object({ id, name: Type.String(), state: TagState, similarity: nullable(similarity) }),
  ),
});

export const Group = Type.Object({
  id,
  faces: Type.Integer(),
  pictures: Type.Array(id),
  appearances: Type.Array(
    Type.Object({
      appearance_id: id,
      video_id: id,
      video: Type.String(),
      first_ms: Type.Integer(),
      suggestion: nullable(Tag),
    }),
  ),
});
export const Naming = Type.Object({ name: Name });

export const Model = Type.Object({
  pack: Type.String(),
  recogniser: Type.String(),
  precision: Type.String(),
  alignment: Type.String(),
});
export const Models = Type.Object({
  current: nullable(Model),
  next: nullable(
    Type.Intersect([
      Model,
      Type.Object({
        done: Type.Integer(),
        total: nullable(Type.Integer()),
        error: nullable(Type.String()),
      }),
    ]),
  ),
  thresholds: nullable(
    Type.Object({ automatic: similarity, suggested: similarity, margin: Type.Number() }),
  ),
});
