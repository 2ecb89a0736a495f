import { join, resolve } from 'node:path';
import multipart from '@fastify/multipart';
import staticFiles from '@fastify/static';
import swagger from '@fastify/swagger';
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import fastify, { type FastifyInstance } from 'fastify';
import type { Context } from './context.ts';
import { answerErrors } from './http/errors.ts';
import { requireSessions } from './http/sessions.ts';
import { creators } from './routes/creators.ts';
import { health } from './routes/health.ts';
import { login } from './routes/login.ts';
import { models } from './routes/models.ts';
import { pictures } from './routes/pictures.ts';
import { ErrorAnswer } from './routes/schemas.ts';
import { tags } from './routes/tags.ts';
import { videos } from './routes/videos.ts';

/** The API under `/api`; all of it, but login and health, behind a session. */
export async function createApp(context: Context): Promise<FastifyInstance> {
  const { config, sql } = context;
  const app = fastify({
    logger: { level: config.LOG_LEVEL },
    trustProxy: config.TRUST_PROXY,
    genReqId: () => crypto.randomUUID(),
    // An upload takes as long as its line needs.
    requestTimeout: 0,
  });
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  answerErrors(app);
  await app.register(swagger, {
    openapi: {
      info: { title: 'Face platform', version: '0.1.0', description: 'Videos in, names out.' },
      components: {
        securitySchemes: { session: { type: 'apiKey', in: 'cookie', name: 'session' } },
      },
      security: [{ session: [] }],
    },
  });
  app.addHook('onRoute', (route) => {
    if (!route.schema) return;
    const errors = { '4xx': ErrorAnswer, '5xx': ErrorAnswer };
    route.schema.response = { ...(route.schema.response as object), ...errors };
  });
  await requireSessions(app, sql);
  await app.register(multipart, {
    limits: { fileSize: config.MAX_UPLOAD_MB * 1_000_000, files: 100, fields: 0 },
  });
  await app.register(staticFiles, { root: resolve(config.DATA_DIR), serve: false });
  await app.register(page);
  for (const routes of [health, login, videos, tags, creators, pictures, models]) {
    await app.register(routes, { prefix: '/api', ...context });
  }
  app.get('/api/openapi.json', { schema: { hide: true }, config: { open: true } }, async () =>
    app.swagger(),
  );
  return app;
}

/** The page for people: files as they are, open to all; what they show comes from the API. */
async function page(app: FastifyInstance): Promise<void> {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, open: true };
  });
  await app.register(staticFiles, {
    root: join(import.meta.dir, '..', 'page'),
    decorateReply: false,
    wildcard: false,
    setHeaders: (reply) => {
      reply.header(
        'content-security-policy',
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
      );
      reply.header('x-content-type-options', 'nosniff');
    },
  });
}
