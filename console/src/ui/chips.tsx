interface ChipsProps<Option extends string> {
  label: string;
  options: readonly Option[];
  chosen: Option;
  onChoose: (option: Option) => void;
}

/** Filters of a list, of which one is chosen. */
export function Chips<Option extends string>({ label, options, chosen, onChoose }: ChipsProps<Option>) {
  return (
    <div className="chips" role="group" aria-label={label}>
      {options.map((one) => (
        <button key={one} type="button" aria-pressed={one === chosen} onClick={() => onChoose(one)}>
          {one}
        </button>
      ))}
    </div>
  );
}
