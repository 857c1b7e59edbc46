/**
 * An answer with status 202, through the schema of its operation: the work goes on, and its result will be at
 * `location`. `after` and `replay` return it.
 */
export class AcceptedAnswer {
  readonly value: unknown;
  readonly location: string;

  constructor(value: unknown, location: string) {
    this.value = value;
    this.location = location;
  }
}
