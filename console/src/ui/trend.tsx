const WIDTH = 240;
const HEIGHT = 48;

interface TrendProps {
  title: string;
  /** The newest value in words. */
  value: string;
  note?: string;
  isBad?: boolean;
  /** Oldest first. */
  points: readonly number[];
}

/** A number with the line of how it came to be. The line tells nothing that the words do not. */
export function Trend({ title, value, note = '', isBad = false, points }: TrendProps) {
  const most = Math.max(...points, 1);
  const step = WIDTH / Math.max(points.length - 1, 1);
  const line = points.map((point, place) => `${place * step},${HEIGHT - 2 - (point / most) * (HEIGHT - 4)}`).join(' ');
  return (
    <figure className="trend">
      <figcaption>
        <span className="muted small">{title}</span>
        <strong>{value}</strong> <span className={isBad ? 'bad small' : 'muted small'}>{note}</span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        <polyline points={points.length === 1 ? `0,${line.split(',')[1]} ${WIDTH},${line.split(',')[1]}` : line} />
      </svg>
    </figure>
  );
}
