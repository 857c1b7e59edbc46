/** An answer with status 202: the work goes on, and what comes of it is found at `location`. `after` and `replay` return it. */
export class AcceptedAnswer<Answer = unknown> {
  readonly value: Answer;
  readonly location: string;

  constructor(value: Answer, location: string) {
    this.value = value;
    this.location = location;
  }
}
