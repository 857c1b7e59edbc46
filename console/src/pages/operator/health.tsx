import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { AnswerOf } from '../../../../sdk/typescript/src/types.ts';
import { client } from '../../client/client.ts';
import { count, duration, fromNow } from '../../format.ts';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';
import { Trend } from '../../ui/trend.tsx';

type Health = AnswerOf<'health.get'>;

const AGAIN_MS = 5_000;
/** Ten minutes. */
const SAMPLES_KEPT = 120;
/** What has waited for longer than this points at a part that does not keep up. */
const LATE_SECONDS = 60;

/** Whether each part works, and how much waits, since the page was opened. */
export function Health() {
  const cache = useQueryClient();
  const queryKey = ['operator', 'health'];
  const { data: samples = [], error } = useQuery({
    queryKey,
    async queryFn() {
      const health = await client.operator.health.get();
      return [...(cache.getQueryData<Health[]>(queryKey) ?? []), health].slice(-SAMPLES_KEPT);
    },
    refetchInterval: AGAIN_MS,
  });
  const data = samples.at(-1);
  return (
    <section>
      <Problem error={error} />
      {data && (
        <>
          <Parts health={data} />
          <div className="trends">
            <Trends samples={samples} now={data} />
          </div>
        </>
      )}
      <p className="muted small">
        The lines begin when this page is opened. Prometheus and the Grafana dashboard of the installation keep them for longer.
      </p>
      <Sample isOfOperator path="/admin/health" sdk="const health = await client.operator.health.get();" />
    </section>
  );
}

/** Each part with what it is known by. */
function Parts({ health: { temporal, temporalUiUrl, processes, modelCalls, instances, unowned } }: { health: Health }) {
  return (
    <ul className="rows">
      <Part name="API" isGood={processes.api > 0} text={`${processes.api} running`} />
      <Part
        name="Workers"
        isGood={processes.worker > 0}
        text={processes.worker > 0 ? `${processes.worker} running` : 'None: nothing starts or stops, and messages go on'}
      />
      <Part name="Database" isGood text="It answers" />
      <Part
        name="Temporal"
        isGood={temporal !== 'down'}
        text={
          temporal === 'down'
            ? 'It does not answer: starts and stops wait'
            : temporal === 'up'
              ? 'It serves'
              : 'The API cannot ask it'
        }
        url={temporalUiUrl}
      />
      <Part name="Model relay" isGood={modelCalls.troubled === 0} text={relayText(modelCalls)} />
      <Part
        name="Instances"
        isGood={instances.error + instances.stuck === 0}
        text={`${instances.running} running, ${instances.starting} starting, ${instances.stuck} stuck, ${instances.error} in error`}
      />
      <Part
        name="Storage without an owner"
        isGood={unowned.left === 0}
        text={`${unowned.quarantined} in quarantine, ${unowned.left} left untouched`}
      />
    </ul>
  );
}

function relayText({ lastAt, troubled }: Health['modelCalls']): string {
  const last = lastAt === null ? 'No call was made yet' : `The last call was ${fromNow(lastAt)}`;
  return troubled === 0 ? last : `${last}; ${troubled} models do not answer, see Models`;
}

function Part({ name, isGood, text, url = null }: { name: string; isGood: boolean; text: string; url?: string | null }) {
  return (
    <li>
      <span>
        <strong>{name}</strong>
        <span className="muted small block">{text}</span>
      </span>
      <span className="actions">
        {url !== null && (
          <a href={url} target="_blank" rel="noreferrer">
            Temporal Web UI
          </a>
        )}
        <span className={`tag ${isGood ? '' : 'tag-bad'}`}>{isGood ? 'works' : 'look here'}</span>
      </span>
    </li>
  );
}

function Trends({ samples, now }: { samples: readonly Health[]; now: Health }) {
  const waiting = ({ count: number, oldestSeconds }: Health['turns']) =>
    number === 0 ? 'nothing waits' : `the oldest for ${duration(oldestSeconds * 1_000)}`;
  const late = ({ oldestSeconds }: Health['turns']) => oldestSeconds > LATE_SECONDS;
  const of = (value: (health: Health) => number) => samples.map(value);
  return (
    <>
      <Trend
        title="Turns under way"
        value={count(now.turns.count)}
        note={waiting(now.turns)}
        points={of(({ turns }) => turns.count)}
      />
      <Trend
        title="Model calls in a minute"
        value={count(now.modelCalls.perMinute)}
        points={of(({ modelCalls }) => modelCalls.perMinute)}
      />
      <Trend
        title="Instances running"
        value={count(now.instances.running)}
        note={`${now.instances.starting} starting`}
        points={of(({ instances }) => instances.running)}
      />
      <Trend
        title="Wake-ups of workflows"
        value={count(now.wakeUps.count)}
        note={waiting(now.wakeUps)}
        isBad={late(now.wakeUps)}
        points={of(({ wakeUps }) => wakeUps.count)}
      />
      <Trend
        title="Webhook deliveries"
        value={count(now.deliveries.count)}
        note={waiting(now.deliveries)}
        isBad={late(now.deliveries)}
        points={of(({ deliveries }) => deliveries.count)}
      />
    </>
  );
}
