import { z } from 'zod';
import { findAccountMoney, readDatabaseClock } from '../../../database/billing/account-money.ts';
import { hoursLeft } from '../../../domain/money/metering.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { timestamp } from '../../contract/fields.ts';

const MS_PER_HOUR = 3_600_000;
/** Far enough away, and still a date. */
const LONGEST_MS = 100 * 365 * 24 * MS_PER_HOUR;

export const getForecast = defineOperation({
  method: 'GET',
  path: '/billing/forecast',
  operationId: 'billing.forecast',
  summary: 'Get a forecast of when the balance is used up',
  description: 'The forecast assumes that the instances that run now keep running.',
  tag: 'billing',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  success: {
    status: 200,
    schema: z.object({
      balanceNanoUsd: z.string().meta({ description: 'The exact balance in 10^-9 USD.' }),
      burnNanoUsdPerHour: z.string().meta({ description: 'What the running instances cost per hour, in 10^-9 USD.' }),
      hoursLeft: z
        .number()
        .nullable()
        .meta({ description: 'The number of hours that the balance lasts; `null` while nothing is charged.' }),
      exhaustsAt: timestamp.nullable().meta({ description: 'When the balance is used up; `null` while nothing is charged.' }),
    }),
  },
  errors: [],

  async handle({ actor, em }) {
    const now = await readDatabaseClock(em);
    const { balance, available, burnPerHour } = await findAccountMoney(em, actor.accountId, now);
    const hours = hoursLeft(available, burnPerHour);
    const leftMs = hours === null ? null : Math.min(LONGEST_MS, Math.floor(hours * MS_PER_HOUR));
    return {
      balanceNanoUsd: balance.toString(),
      burnNanoUsdPerHour: burnPerHour.toString(),
      hoursLeft: hours,
      exhaustsAt: leftMs === null ? null : new Date(now.getTime() + leftMs).toISOString(),
    };
  },
});
