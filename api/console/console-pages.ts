import type Koa from 'koa';
import type { ApiContext, ApiState } from '../api-context.ts';
import { pageHeaders } from '../http/page-headers.ts';
import type { ConsoleFile, ConsoleFiles } from './console-files.ts';
import { CONSOLE_PATH } from './door.ts';
import { isConsoleCall } from './require-console.ts';

const ASSETS = `${CONSOLE_PATH}/assets/`;
/** Not even a script of ours may turn text into markup or code. */
const HEADERS = pageHeaders("require-trusted-types-for 'script'", "trusted-types 'none'");

/** The page of the console at every path below `/console` that is no call, and what it loads. */
export function consolePages(files: ConsoleFiles | null): Koa.Middleware<ApiState> {
  return (context, next) => {
    const { path, method } = context;
    const isPage = path === CONSOLE_PATH || path.startsWith(`${CONSOLE_PATH}/`);
    if (!files || !isPage || isConsoleCall(path) || (method !== 'GET' && method !== 'HEAD')) return next();
    if (!path.startsWith(ASSETS)) return send(context, files.page, 'no-store');
    const asset = files.assets.get(path.slice(ASSETS.length));
    // Its name holds a digest of what it is.
    return asset ? send(context, asset, 'public, max-age=31536000, immutable') : next();
  };
}

function send(context: ApiContext, { type, plain, gzipped }: ConsoleFile, cacheControl: string): void {
  context.set({ ...HEADERS, 'Cache-Control': cacheControl });
  context.vary('Accept-Encoding');
  context.type = type;
  if (context.acceptsEncodings('gzip') === 'gzip') context.set('Content-Encoding', 'gzip');
  context.body = context.response.get('Content-Encoding') === 'gzip' ? gzipped : plain;
}
