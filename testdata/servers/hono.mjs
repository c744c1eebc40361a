// Answers each request with the places that an application of Hono may take
// its path for, one a line.
import { serve } from '@hono/node-server';
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono } from 'hono';

const app = new Hono();
app.use('*', async (c, next) => {
  c.set('places', []);
  await next();
});
// A route matches what its router reads.
for (const place of ['/static', '/admin', '/closed', '/other', '/deep/er', '/_gate']) {
  app.use(place + '/*', async (c, next) => {
    c.get('places').push(place);
    await next();
  });
}
// A file is looked for where serveStatic reads it.
app.use('*', serveStatic({
  root: './files',
  onNotFound: (name, c) => c.get('places').push(name.replace(/^files/, '')),
}));
const or = (f) => { try { return f(); } catch { return ''; } };
app.all('*', (c) => {
  const name = new URL(c.req.url).pathname;
  return c.text([c.req.path, name, or(() => decodeURI(name)), or(() => decodeURIComponent(name)), ...c.get('places')].join('\n'));
});
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.argv[2]) });
