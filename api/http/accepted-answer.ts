/**
 * An answer with status 202, through the schema of its operation: the work goes on, and what comes of it is found at
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
