import { Field } from '../../ui/field.tsx';

interface InputProps {
  value: string;
  onChange: (value: string) => void;
}

export function NameField({ value, onChange }: InputProps) {
  return (
    <Field label="Name">
      {(ids) => (
        <input {...ids} autoFocus required maxLength={64} value={value} onChange={(event) => onChange(event.target.value)} />
      )}
    </Field>
  );
}

export function AmountField({ value, onChange }: InputProps) {
  return (
    <Field label="Limit in USD" hint="Such as 12.50">
      {(ids) => <input {...ids} required inputMode="decimal" value={value} onChange={(event) => onChange(event.target.value)} />}
    </Field>
  );
}

export function WarnField({ value, onChange }: InputProps) {
  return (
    <Field label="Warn at per cent" hint="Then the event budget.warning is sent.">
      {(ids) => (
        <input
          {...ids}
          type="number"
          min={1}
          max={99}
          required
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}
