const NANO = 1_000_000_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = 5_000;

/** Nano-dollars as money: to the cent, and finer where a cent says nothing. */
export function money(nanoUsd: string | bigint): string {
  const usd = Number(nanoUsd) / NANO;
  const isFine = usd !== 0 && Math.abs(usd) < 0.995;
  const digits = isFine ? { minimumFractionDigits: 2, maximumFractionDigits: 4 } : {};
  return new Intl.NumberFormat('en', { style: 'currency', currency: 'USD', ...digits }).format(usd);
}

export function count(value: number): string {
  return new Intl.NumberFormat('en', { notation: value >= 100_000 ? 'compact' : 'standard' }).format(value);
}

/** A moment in the reader's time zone. */
export function time(iso: string): string {
  const date = new Date(iso);
  const isToday = date.toDateString() === new Date().toDateString();
  const shown: Intl.DateTimeFormatOptions = isToday ? {} : { month: 'short', day: 'numeric' };
  return date.toLocaleString('en', { ...shown, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
}

export function day(iso: string): string {
  return new Date(iso).toLocaleDateString('en', { year: 'numeric', month: 'short', day: 'numeric' });
}

/** A length of time in its largest unit that says enough. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < MINUTE_MS) return `${Math.round(ms / 1_000)} s`;
  if (ms < HOUR_MS) return `${Math.round(ms / MINUTE_MS)} min`;
  if (ms < 2 * DAY_MS) return `${(ms / HOUR_MS).toFixed(1)} h`;
  return `${Math.round(ms / DAY_MS)} days`;
}

/** How long until then, or since then. */
export function fromNow(iso: string): string {
  const ms = new Date(iso).getTime() - Date.now();
  // The clock of the reader's machine is not exactly ours.
  if (Math.abs(ms) < NOW_MS) return 'now';
  return ms >= 0 ? `in ${duration(ms)}` : `${duration(-ms)} ago`;
}

export function bytes(size: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const place = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, size)) / 10));
  return `${(size / 1024 ** place).toFixed(place === 0 ? 0 : 1)} ${units[place]}`;
}
