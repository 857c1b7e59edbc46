import { useQuery } from '@tanstack/react-query';
import { client } from '../../client/client.ts';
import { fromNow } from '../../format.ts';
import { Problem } from '../../ui/problem.tsx';
import { Sample } from '../../ui/sample.tsx';

/** The models with their providers, in the order in which they are asked, and what is wrong with them. */
export function Models() {
  const { data, error } = useQuery({ queryKey: ['operator', 'models'], queryFn: () => client.operator.models.listAll() });
  return (
    <section>
      <Problem error={error} />
      <ul className="rows">
        {data?.models.map(({ id, wire, providers, accounts, priceUsdPerMillion: price }) => (
          <li key={id}>
            <span>
              <strong>{id}</strong>{' '}
              <span className="muted small">
                {wire}
                {price && `; $${price.input} read, $${price.output} written per million tokens`}
                {accounts && `; only for ${accounts.join(', ')}`}
              </span>
              {providers.map(({ provider, upstream, state, reason, since }) => (
                <span key={`${provider} ${upstream}`} className="small block">
                  {provider}: {upstream} <span className={`tag ${reason === null ? '' : 'tag-bad'}`}>{state}</span>
                  {reason !== null && ` ${reason}`}
                  {since !== null && `, since ${fromNow(since)}`}
                </span>
              ))}
            </span>
          </li>
        ))}
      </ul>
      <Sample isOfOperator path="/admin/models" sdk="const { models } = await client.operator.models.listAll();" />
    </section>
  );
}
