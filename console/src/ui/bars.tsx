export interface Bar {
  key: string;
  title: string;
  value: number;
  /** The value in words. */
  text: string;
}

/** Amounts side by side. Each bar says what it is; the table below the chart has the same numbers. */
export function Bars({ bars, label }: { bars: readonly Bar[]; label: string }) {
  const most = Math.max(...bars.map(({ value }) => value), Number.EPSILON);
  return (
    <figure className="bars" role="img" aria-label={label}>
      {bars.map(({ key, title, value, text }) => (
        <div key={key} className="bar" title={`${title}: ${text}`}>
          <div className={value > 0 ? 'bar-fill' : 'bar-none'} style={{ height: `${(value / most) * 100}%` }} />
        </div>
      ))}
    </figure>
  );
}
