/** An answer that also sets a cookie. `after` returns it. */
export class CookieAnswer {
  readonly value: unknown;
  /** The Set-Cookie header. */
  readonly cookie: string;

  constructor(value: unknown, cookie: string) {
    this.value = value;
    this.cookie = cookie;
  }
}
