import type { LogLine } from '../driver.ts';
import { logLinesOf } from '../host/gateway-output.ts';
import { orElse } from './engine.ts';
import type { Engine } from './engine.ts';
import { textOfFrames } from './output-frames.ts';

const LOG_BYTES = 256 * 1024;
/** The gateway prints more lines than those that are shown. */
const LOG_LINES = 5_000;

/** The gateway's own last lines in the log of its container, oldest first; none when there is no such container. */
export async function linesOfContainer(engine: Engine, container: string, limit: number): Promise<LogLine[]> {
  const query = { stdout: '1', stderr: '1', tail: String(LOG_LINES) };
  const output = await orElse([404, 409], null, () => engine.stream('GET', `/containers/${container}/logs`, { query }));
  return output === null ? [] : logLinesOf(await textOfFrames(output, { keepBytes: LOG_BYTES }), limit);
}
