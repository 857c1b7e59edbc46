/** What a round of sending leaves. An id, numbers and booleans only: it stands in the workflow's history. */
export interface SendingResult {
  accountId: string;
  /** Deliveries that have not ended. */
  waiting: number;
  /** Failed attempts in a row. */
  failures: number;
  /** When the next one may be sent, from now; null: none may before something changes. */
  nextInMs: number | null;
  /** A new run will be woken in a moment for what is left. */
  isHandedOver: boolean;
}
