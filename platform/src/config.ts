import { randomBytes } from 'node:crypto';
import { Type } from 'typebox';
import { Value } from 'typebox/value';

/** Settings, from the environment. */
const Settings = Type.Object({
  HOST: Type.String({ default: '127.0.0.1' }),
  /** Whether a proxy in front says with X-Forwarded-* who asks, and by HTTPS. */
  TRUST_PROXY: Type.Boolean({ default: false }),
  PORT: Type.Integer({ default: 3000, minimum: 0, maximum: 65535 }),
  DATABASE_URL: Type.String({ pattern: '^postgres(ql)?://' }),
  /** Face services, comma-separated; during a change of model one of the old and one of the new. */
  FACE_SERVICE_URL: Type.String({ default: 'http://127.0.0.1:8100', pattern: '^https?://' }),
  FACE_SERVICE_KEY: Type.Optional(Type.String()),
  /** Where uploads lie. */
  DATA_DIR: Type.String({ default: './data' }),
  FFMPEG: Type.String({ default: 'ffmpeg' }),
  /** Seconds without a frame after which FFmpeg has hung, and is killed. */
  FFMPEG_TIMEOUT_S: Type.Number({ default: 120, minimum: 1, maximum: 86_400 }),
  MAX_UPLOAD_MB: Type.Integer({ default: 4096, minimum: 1 }),
  /** One frame of each interval is looked at. */
  FRAME_INTERVAL_MS: Type.Integer({ default: 1000, minimum: 20, maximum: 3_600_000 }),
  /** Longer side to which larger frames are reduced. */
  MAX_FRAME_SIDE: Type.Integer({ default: 1920, minimum: 320, maximum: 8192 }),
  /** Frames that are with the face service at once. */
  PARALLEL: Type.Integer({ default: 4, minimum: 1, maximum: 64 }),
  /**
   * Jobs at once: while one video is opened or its people are told apart, the face service works on
   * another. With 0, this backend only answers, and others on its database work.
   */
  JOBS: Type.Integer({ default: 2, minimum: 0, maximum: 32 }),
  /** Seconds after which a job of a backend that was killed is taken over. */
  LEASE_S: Type.Number({ default: 15, minimum: 0.5, maximum: 3600 }),
  /** Similarities from which a tag is automatic and suggested; else by the pack's measurements. */
  AUTOMATIC_SIMILARITY: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  SUGGESTED_SIMILARITY: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  /** How much nearer than the second creator the first must be for an automatic tag. */
  MARGIN: Type.Number({ default: 0.1, minimum: 0, maximum: 1 }),
  /** The first user; without a password one is made and printed once. */
  PLATFORM_USER: Type.String({ default: 'admin', minLength: 1 }),
  PLATFORM_PASSWORD: Type.Optional(Type.String({ minLength: 8 })),
  LOG_LEVEL: Type.String({ default: 'info' }),
});
export type Config = Type.Static<typeof Settings>;

/** Settings out of variables; an error names the first that is wrong. */
export function readConfig(environment: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(
    Object.keys(Settings.properties)
      .map((name) => [name, environment[name]])
      .filter(([, value]) => value !== undefined && value !== ''),
  );
  const settings = Value.Convert(Settings, Value.Default(Settings, given));
  const [error] = Value.Errors(Settings, settings);
  if (error) throw new Error(`${error.instancePath.slice(1) || 'settings'}: ${error.message}`);
  return settings as Config;
}

export const randomPassword = (): string => randomBytes(12).toString('base64url');
