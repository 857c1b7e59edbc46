import { freePort } from '../../runtime/process/free-port.ts';

/** The first of so many ports of the loopback address that are free, one after the other. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = await freePort(null);
    const wanted = Array.from({ length: count }, (_, index) => first + index);
    const got: number[] = [];
    for (const port of wanted) got.push(port > 65_535 ? 0 : await freePort(port));
    if (wanted.every((port, index) => got[index] === port)) return first;
  }
}
