import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import Router from '@koa/router';
import type { ApiContext, ApiState } from '../api-context.ts';
import { pageHeaders } from '../http/page-headers.ts';

const packages = createRequire(import.meta.url);

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Thermidora API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
    <link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
  </head>
  <body>
    <div id="reference"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const startScript = (documentUrl: string): string =>
  `SwaggerUIBundle({ url: ${JSON.stringify(documentUrl)}, dom_id: '#reference', deepLinking: true, validatorUrl: null });\n`;

/** What is served of the package `swagger-ui-dist`. */
const ASSETS = new Map([
  ['swagger-ui.css', 'text/css'],
  ['swagger-ui-bundle.js', 'text/javascript'],
  ['favicon-32x32.png', 'image/png'],
]);

/** `/docs`: the reference as a page, on which the API can be tried. */
export function docsRoutes(documentUrl: string): Router<ApiState> {
  const router = new Router<ApiState>({ sensitive: true });
  router.get('/docs', (context) => send(context, 'text/html', PAGE));
  router.get('/docs/start.js', (context) => send(context, 'text/javascript', startScript(documentUrl)));
  for (const [name, type] of ASSETS) router.get(`/docs/${name}`, (context) => sendAsset(context, name, type));
  return router;
}

function send(context: ApiContext, type: string, body: ApiContext['body']): void {
  context.set(pageHeaders());
  context.type = type;
  context.body = body;
}

/** The files never change while the process runs; another version has another size or time. */
async function sendAsset(context: ApiContext, name: string, type: string): Promise<void> {
  const file = packages.resolve(`swagger-ui-dist/${name}`);
  const { size, mtimeMs } = await stat(file);
  context.set('Cache-Control', 'no-cache');
  context.etag = `${size}-${Math.round(mtimeMs)}`;
  context.status = 200;
  if (context.fresh) {
    context.status = 304;
    return;
  }
  send(context, type, createReadStream(file));
  context.length = size;
}
