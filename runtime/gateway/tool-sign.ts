/** The beginning or the end of a call of a tool, as its gateway reports it. Its texts may hold secrets: mask them. */
export type ToolSign = OfCall & ({ phase: 'started'; input: string } | { phase: 'ended'; output: string; isError: boolean });

interface OfCall {
  /** Chosen by the model: a turn may use the same one again. */
  callId: string;
  name: string;
  /** By the gateway's clock; null: it happens now. */
  atMs: number | null;
}
