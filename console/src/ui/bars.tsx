export interface Bar {
  key: string;
  title: string;
  value: number;
  /** The value in words. */
  text: string;
}

/** Amounts side by side. Each bar says what it is; the table below the chart has the same numbers. */
export function Bars({ bars, label }: { bars: readonly Bar[]; label: string }) {
  const highest = bars.toSorted((a, b) => b.value - a.value)[0];
  const most = Math.max(highest?.value ?? 0, Number.EPSILON);
  return (
    <figure className="chart" role="img" aria-label={label}>
      <span className="muted small">{highest?.text}</span>
      <div className="bars">
        {bars.map(({ key, title, value, text }) => (
          <div key={key} className="bar" title={`${title}: ${text}`}>
            <div className={value > 0 ? 'bar-fill' : 'bar-none'} style={{ height: `${(value / most) * 100}%` }} />
          </div>
        ))}
      </div>
      <span className="chart-ends muted small">
        <span className="clip">{bars[0]?.title}</span>
        {bars.length > 1 && <span className="clip">{bars.at(-1)?.title}</span>}
      </span>
    </figure>
  );
}
