import { freePort, takePort } from '../../runtime/process/free-port.ts';

/** The first of so many ports of the loopback address that are free, one after the other. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = await freePort(null);
    let port = first + 1;
    while (port < first + count && (await takePort(port))) port += 1;
    if (port === first + count) return first;
  }
}
