import type { MikroORM } from '@mikro-orm/postgresql';

export interface CallTokens {
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
}

interface Call extends Partial<CallTokens> {
  model?: string;
  begunAt: Date;
  endedAt: Date;
}

/** One call of an agent, reserved and settled as the relay does it. Answers what it cost, in nano-dollars. */
export async function callModel(
  orm: MikroORM,
  { accountId, instanceId, agentId }: { accountId: string; instanceId: string; agentId: string },
  { model = 'm', begunAt, endedAt, inputTokens = 0, outputTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0 }: Call,
): Promise<string> {
  const em = orm.em.fork();
  const [reserved] = await em.execute<{ id: string }[]>(
    'select call_id as id from reserve_model_call(?, ?, ?, null, ?, 1000, 1000, 60000, ?)',
    [accountId, instanceId, agentId, model, begunAt],
  );
  await em.execute('select settle_model_call(?, ?, ?, ?, ?, 0, null, null, null, ?)', [
    ...[reserved?.id, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, endedAt],
  ]);
  const [call] = await em.execute<{ cost: string }[]>(
    'select cost_nano_usd::text as cost from model_calls order by id desc limit 1',
  );
  return call?.cost ?? 'none';
}
